"""The pages of notices: who chooses, that a secret is shown once, and what became of what was sent."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from accounts import sealing
from accounts.models import Change, Client, Membership, Role
from billing.deliveries import send_due
from billing.models import Channel, Delivery
from billing.notice_views import MOST_WEBHOOKS, TESTS_AT_ONCE
from billing.webhooks import PURPOSE
from tests.billing.test_outside import receiver  # noqa: F401 - a fixture
from tests.builders import alice, eve, make_user, romashka

pytestmark = pytest.mark.django_db

URL = "https://example.ru/hook"


@pytest.fixture
def home(client) -> Client:
    client.force_login(alice())
    return romashka()


def at(owner: Client, path: str = "") -> str:
    return f"/dashboard/{owner.pk}/notices/{path}"


def make(browser: Browser, owner: Client, url: str = URL, events: tuple[str, ...] = ("key.created",)):
    return browser.post(at(owner, "webhooks/new/"), {"url": url, "events": events})


def test_what_goes_by_mail_at_first_is_money(client, home):
    form = client.get(at(home)).context["form"]

    assert "balance.low" in form.initial["events"] and "key.created" not in form.initial["events"]
    assert not Channel.objects.exists()  # looking makes nothing


def test_letters_are_chosen_with_their_readers(client, home):
    member = home.memberships.get()

    client.post(at(home), {"events": ["key.created"], "readers": [member.pk]})

    letters = Channel.objects.get()
    assert (letters.kind, letters.events, list(letters.readers.all())) == ("mail", ["key.created"], [member])
    other = Membership.objects.get(user=eve())
    answer = client.post(at(home), {"events": ["key.created"], "readers": [other.pk]})
    assert answer.context["form"].errors["readers"]


def test_a_secret_is_shown_once_and_kept_sealed(client, home):
    answer = make(client, home)

    channel, secret = Channel.objects.get(), answer.context["secret"]
    assert sealing.unseal(channel.secret, PURPOSE) == secret
    assert answer.content.decode().count(secret) == 1 and "no-store" in answer["cache-control"]
    assert secret not in client.get(at(home, f"webhooks/{channel.pk}/")).content.decode()
    assert not any(secret in str(session.get_decoded()) for session in Session.objects.all())
    entries = Change.objects.filter(content_type__model="channel").values_list("actor_email", "changes")
    journal = str(list(entries))
    assert alice().email in journal and URL in journal
    assert secret not in journal and channel.secret not in journal
    renewed = client.post(at(home, f"webhooks/{channel.pk}/secret/")).context["secret"]
    channel.refresh_from_db()
    assert renewed != secret and sealing.unseal(channel.secret, PURPOSE) == renewed


def test_the_list_of_webhooks_tells_what_each_is_sent(client, home):
    make(client, home, events=("key.created", "invoice.paid"))

    listed = client.get(at(home)).content.decode()

    assert "<code>key.created</code>, <code>invoice.paid</code></td>" in listed


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"url": "http://example.ru/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"events": ()}, "events"),
        ({"events": ("magic",)}, "events"),
    ],
)
def test_what_makes_no_sense_is_told_and_makes_nothing(client, home, typed, field):
    assert list(make(client, home, **typed).context["form"].errors) == [field]
    assert not Channel.objects.exists()


def test_an_address_has_one_webhook_and_a_client_few(client, home):
    make(client, home)
    assert "Вебхук с этим адресом уже есть." in make(client, home).content.decode()

    for number in range(MOST_WEBHOOKS):
        answer = make(client, home, f"{URL}/{number}")

    assert "Вебхуков уже пять" in answer.content.decode()
    assert Channel.objects.count() == MOST_WEBHOOKS


def test_a_test_is_sent_and_told_of(client, home, receiver):  # noqa: F811
    make(client, home, f"http://127.0.0.1:{receiver.server_port}/204")
    page = at(home, f"webhooks/{Channel.objects.get().pk}/")

    for _ in range(TESTS_AT_ONCE + 1):
        answer = client.post(f"{page}test/", follow=True)
    assert "дождитесь их" in answer.content.decode()
    assert send_due() == TESTS_AT_ONCE

    shown = client.get(page).content.decode()
    assert "HTTP 204" in shown and "принято" in shown and "Проверка" in shown


def test_a_webhook_is_switched_off_and_on_and_removed(client, home):
    make(client, home)
    channel = Channel.objects.get()
    page = at(home, f"webhooks/{channel.pk}/")
    client.post(f"{page}test/")

    client.post(f"{page}switch/", {"to": "off"})
    assert (
        "Вебхук отключён: сначала включите его." in client.post(f"{page}test/", follow=True).content.decode()
    )
    assert Delivery.objects.get().state == "lost"
    client.post(f"{page}switch/", {"to": "on"})
    channel.refresh_from_db()
    assert channel.disabled_at is None

    client.post(f"{page}remove/")
    assert not Channel.objects.exists()


def test_owners_and_administrators_keep_webhooks_and_others_look(client, home):
    make(client, home)
    page = at(home, f"webhooks/{Channel.objects.get().pk}/")
    for role in (Role.DEVELOPER, Role.ACCOUNTANT):
        person, browser = make_user(), Browser()
        Membership.objects.create(user=person, client=home, role=role)
        browser.force_login(person)

        assert browser.get(page).status_code == 200
        assert make(browser, home, f"{URL}/2").status_code == 403
        for path in ("", "test/", "secret/", "switch/", "remove/"):
            assert browser.post(page + path).status_code == 403


def test_eve_finds_nothing_of_romashkas(client, home):
    make(client, home)
    number = Channel.objects.get().pk
    client.force_login(eve())
    own = eve().clients.get()

    for owner in (home, own):
        page = at(owner, f"webhooks/{number}/")
        assert client.get(page).status_code == 404
        assert {client.post(page + path).status_code for path in ("test/", "secret/", "remove/")} == {404}
    assert Channel.objects.get().pk == number
