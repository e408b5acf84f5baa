"""Letters of money and keys: one for all who read the same language, in that language."""

import re
from smtplib import SMTPDataError, SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from accounts.models import Client, Membership, Role, User
from billing import ledger
from billing.alerts import send_alerts
from billing.deliveries import send_due
from billing.models import Alert, Cap, Channel, Delivery, EventKind, KeyDay, Reset
from billing.models.notices import CHOSEN
from billing.money import roubles
from billing.telling import tell
from tests.builders import make_client, make_key, make_user

pytestmark = pytest.mark.django_db
RUSSIAN = re.compile("[А-Яа-яЁё]")

FACTS = {
    EventKind.KEY_CREATED: {"prefix": "xr-live-Ab", "label": "site", "created_by": "bob@example.com"},
    EventKind.MEMBER_JOINED: {"email": "bob@example.com", "role": "accountant"},
    EventKind.INVOICE_PAID: {"number": 7, "amount": "1500.5", "currency": "RUB"},
    EventKind.INVOICE_REFUSED: {"number": 7, "amount": "1500.5", "reason": "no such company"},
    EventKind.WEBHOOK_OFF: {"url": "https://example.com/hook", "failures": 14},
}


def owner(client: Client, email: str, language: str) -> User:
    person = make_user(email, language=language)
    Membership.objects.create(user=person, client=client, role=Role.OWNER)
    return person


@pytest.fixture
def home() -> Client:
    """Ann reads English, Anna Russian, and of Alice nothing is known."""
    client = make_client("Romashka")
    for email, language in (("ann", "en"), ("anna", "ru"), ("alice", "")):
        owner(client, f"{email}@example.com", language)
    return client


def sent() -> list[tuple[list[str], bool]]:
    """To whom, and whether there is any Russian in it."""
    return sorted((letter.to, bool(RUSSIAN.search(letter.subject + letter.body))) for letter in mail.outbox)


BOTH = [(["alice@example.com", "anna@example.com"], True), (["ann@example.com"], False)]


@pytest.mark.parametrize("kind", FACTS, ids=str)
def test_an_event_is_told_to_each_in_his_language(home, kind):
    Channel.objects.mail_of(home)
    Channel.objects.update(events=[kind])
    tell(home, kind, "1", FACTS[kind])

    assert send_due() == 1

    assert sent() == BOTH
    assert Delivery.objects.get().state == "delivered"


def test_of_all_that_is_mailed_there_is_an_english_letter():
    assert {kind for kind, _label in CHOSEN} == {*FACTS, *(kind.value for kind in ALERTS)}


ALERTS = [EventKind.LOW_BALANCE, EventKind.CAP_NEAR, EventKind.CAP_REACHED]


@pytest.mark.parametrize("kind", ALERTS, ids=str)
@pytest.mark.parametrize("reset", [Reset.NONE, Reset.DAILY], ids=str)
def test_money_that_runs_out_is_told_to_each_in_his_language(home, kind, reset):
    if kind == EventKind.LOW_BALANCE:
        ledger.top_up(home, roubles("43.2"), cause="payment 1")
    else:
        key = make_key(home, "site")[0]
        Cap.objects.create(key=key, amount=roubles("10"), reset=reset)
        spent = "8.5" if kind == EventKind.CAP_NEAR else "10"
        KeyDay.objects.create(key=key, client=home, day=timezone.localdate(), cost=roubles(spent))

    assert send_alerts() == 1

    assert sent() == BOTH


def test_amounts_are_written_as_the_reader_writes_them(home):
    ledger.top_up(home, roubles("43.2"), cause="payment 1")

    send_alerts()

    told = {tuple(letter.to): letter.body.replace("\N{NO-BREAK SPACE}", " ") for letter in mail.outbox}
    assert "is 43.20 ₽, which is less than 100.00 ₽." in told["ann@example.com",]
    assert "осталось 43,20 ₽, это меньше 100,00 ₽." in told["alice@example.com", "anna@example.com"]


class Refusing(EmailBackend):
    """Takes no letter to whom ``refused`` names, and after ``most`` letters no letter at all."""

    refused: frozenset[str] = frozenset()
    most = 99

    def send_messages(self, messages):
        if self.refused & set(messages[0].to):
            raise SMTPDataError(554, b"no")
        if len(mail.outbox) >= self.most:
            raise SMTPServerDisconnected
        return super().send_messages(messages)


@pytest.fixture
def post(settings, monkeypatch):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"

    def behave(**how: object) -> None:
        for name, value in how.items():
            monkeypatch.setattr(Refusing, name, value)

    return behave


def test_who_has_his_letter_gets_it_once_though_one_in_another_language_is_refused(home, post, caplog):
    post(refused=frozenset({"ann@example.com"}))
    ledger.top_up(home, roubles("43.2"), cause="payment 1")

    assert [send_alerts(), send_alerts()] == [1, 0]

    assert sent() == BOTH[:1]
    assert "ann@example.com" not in caplog.text


def test_if_all_are_refused_all_are_tried_again(home, post):
    post(refused=frozenset({"ann@example.com", "anna@example.com"}))
    tell(home, EventKind.INVOICE_PAID, "1", FACTS[EventKind.INVOICE_PAID])
    ledger.top_up(home, roubles("43.2"), cause="payment 1")

    assert (send_alerts(), send_due()) == (0, 1)
    assert (Alert.objects.get().sent_at, Delivery.objects.get().state) == (None, "waiting")

    post(refused=frozenset())
    assert send_alerts() == 1
    assert sent() == BOTH


def test_a_server_that_goes_away_between_two_languages_is_asked_again_for_both(home, post):
    post(most=1)
    ledger.top_up(home, roubles("43.2"), cause="payment 1")
    assert send_alerts() == 0

    post(most=99)
    assert send_alerts() == 1

    assert sent() == sorted([*BOTH, BOTH[1]])
