from datetime import timedelta
from smtplib import SMTPDataError, SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from accounts.models import ApiKey, Client, Membership, Role
from billing import ledger
from billing.alerts import send_alerts
from billing.models import Account, Alert, Cap, KeyDay, Reset
from billing.money import roubles
from tests.builders import alice, bob, eve, make_client, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


def top_up(client: Client, amount: str) -> None:
    ledger.top_up(client, roubles(amount), cause=f"payment {timezone.now().isoformat()}")


def make_cap(client: Client, spent: str, *, of: str = "10", reset: Reset = Reset.DAILY, **key: Any) -> ApiKey:
    api_key = make_key(client, key.pop("label", "сервер"), **key)[0]
    Cap.objects.create(key=api_key, amount=roubles(of), reset=reset)
    use(api_key, spent)
    return api_key


def use(key: ApiKey, spent: str, *, days_ago: int = 0) -> None:
    day = timezone.localdate() - timedelta(days=days_ago)
    KeyDay.objects.create(key=key, client=key.client, day=day, cost=roubles(spent))


def letters() -> list[EmailMessage]:
    """What this round has sent."""
    mail.outbox.clear()
    send_alerts()
    return list(mail.outbox)


# --- Low balances ----------------------------------------------------------------------------------


def test_a_balance_that_is_low_is_told_in_plain_facts():
    client = romashka()
    top_up(client, "43.2")

    [letter] = letters()

    assert letter.to == ["alice@romashka.example"]
    assert letter.subject == "XRouter: на балансе мало средств"
    assert "«Ромашка» осталось 43,20 ₽" in letter.body.replace("\N{NO-BREAK SPACE}", " ")
    assert "меньше 100,00 ₽" in letter.body.replace("\N{NO-BREAK SPACE}", " ")
    alert = Alert.objects.get()
    assert (alert.kind, alert.client) == ("low_balance", client)
    assert alert.subject.startswith(f"low_balance client {client.pk} transfer ")
    assert alert.sent_at


def test_it_is_told_once_after_each_top_up():
    client = romashka()
    top_up(client, "10")
    assert len(letters()) == 1
    assert letters() == []

    top_up(client, "10")
    assert len(letters()) == 1
    assert letters() == []


@pytest.mark.parametrize(
    "account",
    [
        {"alert_below": 0},
        {"alert_below": roubles("10")},
        {"balance": roubles("100"), "alert_below": roubles("100")},
    ],
)
def test_a_balance_that_is_not_low_is_not_told(account):
    client = romashka()
    top_up(client, "10")
    Account.objects.filter(client=client).update(**account)

    assert letters() == []


def test_whoever_never_paid_has_nothing_that_could_run_out():
    romashka()

    assert letters() == []
    assert not Alert.objects.exists()


def test_a_client_that_is_switched_off_is_told_nothing():
    client = romashka()
    top_up(client, "10")
    make_cap(client, "10")
    client.is_active = False
    client.save()

    assert letters() == []


# --- Caps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "kinds"),
    [("7.999999", []), ("8", ["cap_80"]), ("9.999999", ["cap_80"]), ("10", ["cap_100"]), ("11", ["cap_100"])],
)
def test_a_cap_is_told_from_eighty_per_cent_on(spent, kinds):
    make_cap(romashka(), spent)

    assert len(letters()) == len(kinds)
    assert list(Alert.objects.values_list("kind", flat=True)) == kinds


def test_the_letter_names_the_key_and_no_secret():
    key, plaintext = make_key(romashka(), "сервер")
    Cap.objects.create(key=key, amount=roubles("10"), reset=Reset.MONTHLY)
    use(key, "8.5")

    [letter] = letters()

    text = letter.body.replace("\N{NO-BREAK SPACE}", " ")
    assert letter.subject == "XRouter: израсходовано 80 % предела ключа"
    assert f"Ключ «{key.prefix}… сервер» клиента «Ромашка»" in text
    assert f"с 01.{timezone.localdate():%m.%Y}" in text
    assert "8,50 ₽ из 10,00 ₽" in text
    assert plaintext not in letter.message().as_string()
    assert Alert.objects.get().key_label == f"{key.prefix}… сервер"


def test_each_threshold_is_told_once():
    key = make_cap(romashka(), "8")
    assert len(letters()) == 1
    assert letters() == []

    KeyDay.objects.update(cost=roubles("10"))
    [letter] = letters()
    assert letter.subject == "XRouter: предел ключа исчерпан"
    assert letters() == []
    assert Alert.objects.filter(subject__contains=f"key {key.pk} ").count() == 2


@pytest.mark.parametrize(
    ("reset", "days_ago", "count"),
    [(Reset.DAILY, 1, 0), (Reset.WEEKLY, 7, 0), (Reset.MONTHLY, 31, 0), (Reset.NONE, 400, 1)],
)
def test_what_was_spent_before_the_period_does_not_count(reset, days_ago, count):
    key = make_key(romashka())[0]
    Cap.objects.create(key=key, amount=roubles("10"), reset=reset)
    use(key, "10", days_ago=days_ago)

    assert len(letters()) == count


def test_the_next_period_is_told_again():
    key = make_cap(romashka(), "10")
    Alert.objects.create(
        kind="cap_100",
        client=key.client,
        subject=f"cap_100 key {key.pk} of 10000000 since {timezone.localdate() - timedelta(days=1)}",
        sent_at=timezone.now() - timedelta(days=1),
    )

    assert len(letters()) == 1


def test_a_cap_that_was_raised_is_told_again_when_it_is_spent_too():
    make_cap(romashka(), "10", reset=Reset.NONE)
    assert len(letters()) == 1

    Cap.objects.update(amount=roubles("12"))

    assert len(letters()) == 1  # of the 80 %


@pytest.mark.parametrize(
    "key",
    [
        {"disabled_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_a_key_that_does_not_work_any_more_is_nobodys_worry(key):
    made = make_cap(romashka(), "10")
    ApiKey.objects.filter(pk=made.pk).update(**key)

    assert letters() == []


def test_a_cap_of_nothing_is_a_decision_and_no_news():
    make_cap(romashka(), "0", of="0")

    assert letters() == []


# --- To whom ---------------------------------------------------------------------------------------


def test_owners_admins_and_accountants_of_this_client_are_told():
    client = romashka()
    bob()
    eve()
    for role in (Role.ADMIN, Role.ACCOUNTANT):
        Membership.objects.create(user=make_user(f"{role}@romashka.example"), client=client, role=role)
    gone = make_user("gone@romashka.example", is_active=False)
    Membership.objects.create(user=gone, client=client, role=Role.OWNER)
    top_up(client, "10")

    [letter] = letters()

    assert letter.to == ["accountant@romashka.example", "admin@romashka.example", "alice@romashka.example"]


def test_where_nobody_is_to_be_told_it_is_done_with():
    bob()
    client = Client.objects.get(name="Ромашка")
    top_up(client, "10")

    assert letters() == []
    assert Alert.objects.get().sent_at

    alice()
    assert letters() == []


# --- What may go wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["сервер\nBcc: eve@lopukh.example", "a\r\n\r\nb", "x\u2028y", "{{ 7 }} %s {0}"]
)
def test_a_name_puts_nothing_into_the_head_of_a_letter(name):
    client = romashka()
    Client.objects.filter(pk=client.pk).update(name=name)
    key = make_cap(client, "8")
    ApiKey.objects.filter(pk=key.pk).update(label=name)
    top_up(client, "10")

    sent = letters()

    assert len(sent) == 2
    for letter in sent:
        message = letter.message()
        assert message["Bcc"] is None
        assert message["To"] == "alice@romashka.example"
        assert f"клиента «{' '.join(name.split())}»" in letter.body


def test_a_label_that_fills_its_column_is_cut_after_the_prefix():
    key = make_cap(romashka(), "8", label="я" * 100)

    letters()

    assert Alert.objects.get().key_label.startswith(f"{key.prefix}… яяя")


class Refusing(EmailBackend):
    """Takes no letter to Ева, and after the word "closed" no letter at all."""

    is_closed = False

    def send_messages(self, messages):
        if self.is_closed:
            raise SMTPServerDisconnected
        if "eve@lopukh.example" in messages[0].to:
            raise SMTPDataError(554, b"no")
        return super().send_messages(messages)


@pytest.fixture
def refusing(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"


def test_a_letter_that_is_refused_holds_up_no_other_and_is_tried_again(refusing, caplog, settings):
    for client in (eve().clients.get(), romashka()):
        top_up(client, "10")

    assert [letter.to for letter in letters()] == [["alice@romashka.example"]]
    assert "eve@lopukh.example" not in caplog.text
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert [letter.to for letter in letters()] == [["eve@lopukh.example"]]
    assert letters() == []


def test_without_a_server_all_wait_for_the_next_minute(refusing, monkeypatch, caplog):
    top_up(romashka(), "10")

    monkeypatch.setattr(Refusing, "is_closed", True)
    assert letters() == []
    assert [line.waiting for line in caplog.records] == [1]
    assert Alert.objects.get().sent_at is None

    monkeypatch.setattr(Refusing, "is_closed", False)
    assert len(letters()) == 1


def test_who_died_before_sending_is_followed_by_who_sends():
    client = romashka()
    top_up(client, "10")
    letters()
    Alert.objects.update(sent_at=None)

    assert len(letters()) == 1
    assert Alert.objects.count() == 1


def test_what_is_no_longer_so_is_not_told():
    client = romashka()
    top_up(client, "10")
    letters()
    Alert.objects.update(sent_at=None)
    top_up(client, "1000")

    assert letters() == []


def test_what_could_not_be_told_for_a_day_is_given_up():
    top_up(romashka(), "10")
    letters()
    Alert.objects.update(sent_at=None, created_at=timezone.now() - timedelta(hours=25))

    assert letters() == []


def test_many_clients_are_looked_at_in_as_many_queries_as_one(django_assert_max_num_queries):
    for _ in range(20):
        top_up(make_client(), "10")

    with django_assert_max_num_queries(34):  # 20 of them to mark each as sent
        send_alerts()

    assert Alert.objects.filter(sent_at__isnull=False).count() == 20
