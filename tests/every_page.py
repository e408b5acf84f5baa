"""Every page of people, with something in the place of what varies: for tests that leave none out.

A new address is covered as soon as the table of addresses in ``tests/e2e/test_abuse_keys.py`` knows whose it
is. If it names rows of a new sort, ``NAMED_AFTER`` has to know how to make their numbers; nothing else.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import ApiKey, Client, Invitation, Membership, Role, User
from billing import invoices
from billing.models import Cap, Channel, Generation, Invoice
from billing.models.notices import ChannelKind
from billing.webhooks import give_secret
from routing.playground import shelf
from tests.addresses import served
from tests.builders import make_client, make_generation, make_key, make_user
from tests.e2e.test_abuse_keys import ADDRESSES, PERSON, PUBLIC

VARIES = re.compile(r"([\w-]+)/<\w+:\w+>")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Home:
    """A client with one row of each sort that pages tell of."""

    client: Client
    owner: User
    browser: Browser  # the owner's
    key: ApiKey
    secret: str  # of the key: what follows its beginning
    membership: Membership
    invitation: Invitation
    generation: Generation
    session: UserSession
    conversation: UUID  # the owner's
    invoice: Invoice
    webhook: Channel

    def browser_of(self, role: Role) -> Browser:
        person, browser = make_user(), Browser()
        Membership.objects.create(user=person, client=self.client, role=role)
        browser.force_login(person)
        return browser


# The word before what varies in an address -> what is there for this client.
NAMED_AFTER: dict[str, Callable[[Home], Any]] = {
    "dashboard": lambda home: home.client.pk,
    "keys": lambda home: home.key.pk,
    "members": lambda home: home.membership.pk,
    "invitations": lambda home: home.invitation.pk,
    "generations": lambda home: home.generation.pk,
    "answers": lambda home: home.generation.pk,
    "conversations": lambda home: home.conversation,
    "invoices": lambda home: home.invoice.pk,
    "webhooks": lambda home: home.webhook.pk,
    "sessions": lambda home: home.session.pk,
}


def home(name: str, said: str = "сервер") -> Home:
    """A new client; ``said`` is what people and programs have called everything."""
    client = make_client(name, balance="100")
    owner = make_user(f"owner{client.pk}@home.example", name=said)
    owners = Membership.objects.create(user=owner, client=client, role=Role.OWNER)
    colleague = make_user(f"colleague{client.pk}@home.example", name=said)
    membership = Membership.objects.create(user=colleague, client=client, role=Role.DEVELOPER)
    key, plaintext = make_key(client, said, created_by=owner)
    Cap.objects.create(key=key, amount=1_000_000)
    invitation = Invitation(client=client, email="guest@home.example", invited_by=owner)
    invitation.draw()
    invitation.save()
    told = dict.fromkeys(
        ("client_request_id", "session_id", "user", "model_requested", "model", "provider", "error_type"),
        said,
    )
    generation = make_generation(
        client,
        key=key,
        dropped_fields=[said],
        native_finish_reason=said,
        attempts=[{"provider": said, "outcome": said, "is_twin": False, "ms": 1}],
        settled_at=timezone.now(),
        **told,
    )
    browser = Browser()
    browser.force_login(owner)
    session = UserSession.objects.create(
        user=owner,
        session_key=browser.session.session_key,
        user_agent=said,
        ip="203.0.113.7",
        data={},
    )
    secret = plaintext.removeprefix(key.prefix)
    conversation = shelf.add(owners, said, {"said": said})
    invoice = Invoice(client=client, amount=1_000_000, company=said, inn="7707083893", address=said)
    invoice.created_by = invoice.email = "buh@home.example"
    webhook = Channel(client=client, kind=ChannelKind.WEBHOOK, url="https://home.example/hook")
    give_secret(webhook)
    webhook.save()
    return Home(
        client,
        owner,
        browser,
        key,
        secret,
        membership,
        invitation,
        generation,
        session,
        conversation,
        invoices.request(invoice),
        webhook,
    )


@dataclass(frozen=True)
class Place:
    """An address as it is declared, and what answers there."""

    declared: str
    view: Any

    def __str__(self) -> str:
        return self.declared

    @property
    def methods(self) -> list[str]:
        """What it knows to do; of a function all of it."""
        made_of = getattr(self.view, "view_class", None)
        if made_of is None:
            return list(METHODS)
        known = [each for each in METHODS if hasattr(made_of, each.lower())]
        return [each for each in known if each.lower() in made_of.http_method_names]

    @property
    def words(self) -> list[str]:
        """The words before what varies."""
        return VARIES.findall(self.declared)

    def filled(self, *homes: Home) -> str:
        """The address with rows of the first home, the last of those named with one of the last home's."""
        return self._filled([homes[0]] * (len(self.words) - 1) + [homes[-1]])

    def _filled(self, homes: list[Home]) -> str:
        rest = iter(homes)

        def fill(found: re.Match[str]) -> str:
            word = found[1]
            assert word in NAMED_AFTER, f"tests/every_page.py does not know what stands after «{word}/»"
            return f"{word}/{NAMED_AFTER[word](next(rest))}"

        return "/" + VARIES.sub(fill, self.declared)


def places() -> list[Place]:
    """All pages of people who are signed in."""
    return [each for each in _every() if ADDRESSES.get(each.declared, ("", ""))[1] == PERSON]


def named() -> list[Place]:
    """Those of them that name rows of somebody."""
    return [each for each in places() if each.words]


def of_clients() -> list[Place]:
    return [each for each in places() if each.words and each.words[0] == "dashboard"]


def public() -> list[tuple[Place, str]]:
    """All pages for everybody, each with an example of its address."""
    return [
        (each, ADDRESSES[each.declared][0])
        for each in _every()
        if each.declared in ADDRESSES and ADDRESSES[each.declared][1] == PUBLIC
    ]


def _every() -> Iterator[Place]:
    return (Place(declared, view) for declared, view in served())
