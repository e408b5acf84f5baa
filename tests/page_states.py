"""States of pages that nobody finds at their bare addresses: filled in, refused, shown once, broken.

For tests that leave no page out, beside ``tests/every_page.py``.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core import mail
from django.db import DatabaseError, connection
from django.test import Client as Browser
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from accounts import switches
from accounts.models import Announcement, Membership, Role, Switch, User
from billing.models import Delivery, Event
from billing.models.notices import USUAL
from billing.money import roubles
from billing.usage import sum_up
from billing.usage_views import GENERATIONS_PER_PAGE
from tests.builders import make_client, make_generation, make_user
from tests.every_page import Home
from tests.guides import GUIDES

PASSWORD = "сирень-и-пароль"
ANN = "ann@siren.example"
SIGN_UP = {"email": ANN, "password1": PASSWORD, "personal_data": "on", "terms": "on", "website": ""}
# Out of the way of what others of the same source have failed at.
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}

States = Iterator[tuple[str, Any]]


def states(home: Home) -> States:
    """What each state is called, and the answer with its page."""
    yield from _guides()
    yield from _way_in()
    yield from _second_factor()
    yield from _invited(home)
    yield from _nothing_yet()
    yield from _client(home)
    yield from _keys(home)
    yield from _webhook(home)
    yield from _catalogue()
    yield from _operator(home)
    yield from _refusals(home)


def _guides() -> States:
    for path in GUIDES:
        if path.parent.name == "ru" and path.stem != "README":
            yield f"guide {path.stem}", Browser().get(f"/docs/guides/ru/{path.stem}/")


def _way_in() -> States:
    browser = Browser(**ELSEWHERE)
    yield "a wrong password", browser.post("/login/", {"username": ANN, "password": "x"})
    yield "a sign-up with nothing in it", browser.post("/signup/", {"email": "x"})
    browser.post("/signup/", SIGN_UP)
    yield "an address to be confirmed", browser.get(_link())
    confirmed = browser.post(_link(), follow=True)
    yield "the first page of a new client", confirmed
    yield "a name that is too long", browser.post("/account/", {"name": "x" * 300})
    yield "a password to be changed", browser.get("/account/password/")
    yield "the password once more", browser.get("/reauthenticate/")
    yield "a second factor to be set up", _set_up(browser)
    browser.post("/logout/")
    browser.post("/password/reset/", {"email": ANN})
    reset = browser.get(_link(), follow=True)
    yield "a new password", reset
    yield "a new password that is too short", browser.post(reset.redirect_chain[-1][0], {"password1": "x"})
    with override_settings(XROUTER_SIGN_UP=False):
        yield "a closed sign-up", browser.get("/signup/")


def _link() -> str:
    found = re.search(r"https?://\S+?(/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def _set_up(browser: Browser) -> Any:
    browser.post("/reauthenticate/", {"password": PASSWORD})
    return browser.get("/mfa/totp/activate/")


def _second_factor() -> States:
    person, secret, browser = make_user(password=PASSWORD), generate_totp_secret(), Browser(**ELSEWHERE)
    TOTP.activate(person, secret)
    RecoveryCodes.activate(person)
    browser.post("/login/", {"username": person.email, "password": PASSWORD})
    yield "a code", browser.get("/mfa/authenticate/")
    yield "a wrong code", browser.post("/mfa/authenticate/", {"code": "x"})
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    browser.post("/mfa/authenticate/", {"code": code})
    yield "a code once more", browser.get("/mfa/reauthenticate/")
    browser.post("/reauthenticate/", {"password": PASSWORD})
    for path in ("", "totp/deactivate/", "recovery-codes/", "recovery-codes/generate/"):
        yield f"with a second factor: {path}", browser.get(f"/mfa/{path}")


def _invited(home: Home) -> States:
    yield "an invitation that is gone", Browser().get("/invitation/")
    token = home.invitation.draw()
    home.invitation.save()
    yield "an invitation", Browser().get(f"/invitations/{token}/", follow=True)
    yield "an invitation of another", home.browser.get(f"/invitations/{token}/", follow=True)
    browser = Browser()
    browser.get(f"/invitations/{token}/")
    yield "a sign-up by invitation", browser.get("/signup/")
    browser.force_login(make_user(home.invitation.email))
    yield "an invitation to accept", browser.get("/invitation/")


def _nothing_yet() -> States:
    """Who has no client, and who has one without anything."""
    person, browser = make_user(), Browser()
    browser.force_login(person)
    yield "nobody's", browser.get("/dashboard/")
    yield "an account without a client", browser.get("/account/")
    empty = make_client("Сирень")
    Membership.objects.create(user=person, client=empty, role=Role.OWNER)
    for path in ("", "keys/", "usage/", "usage/generations/", "usage/cheaper/", "movements/", "billing/"):
        yield f"an empty client: {path}", browser.get(f"/dashboard/{empty.pk}/{path}")
    for path in ("billing/invoices/", "notices/"):
        yield f"an empty client: {path}", browser.get(f"/dashboard/{empty.pk}/{path}")


def _client(home: Home) -> States:
    ours = f"/dashboard/{home.client.pk}/"
    home.client.wallet.__class__.objects.filter(client=home.client).update(alert_below=roubles("1000"))
    failed = make_generation(home.client, key=home.key, status="failed", http_status=502, cost=roubles("1"))
    sum_up()
    yield "a wallet that runs low", home.browser.get(ours)
    yield "a failure", home.browser.get(f"{ours}usage/generations/{failed.pk}/")
    yield "some usage", home.browser.get(f"{ours}usage/?by=hour")
    yield "a question not understood", home.browser.get(f"{ours}usage/?since=x&split=key")
    yield "a promo code refused", home.browser.post(f"{ours}promo/", {"code": "x"}, follow=True)
    yield "an invoice with mistakes", home.browser.post(f"{ours}billing/invoices/new/", {"amount": "x"})
    yield "a colleague with mistakes", home.browser.post(f"{ours}members/", {"email": "x"})
    yield "an organisation without a name", home.browser.post("/account/organisations/new/", {})
    for _ in range(GENERATIONS_PER_PAGE):
        make_generation(home.client, key=home.key, settled_at=timezone.now())
    yield "more requests than a page has room for", home.browser.get(f"{ours}usage/generations/")
    _add_somebody_with_a_long_address(home)
    yield "members", home.browser.get(f"{ours}members/")
    yield "readers", home.browser.get(f"{ours}notices/")
    accountant = home.browser_of(Role.ACCOUNTANT)
    yield "keys for who may not change them", accountant.get(f"{ours}keys/{home.key.pk}/")
    yield "the playground for who may not spend", accountant.get(f"{ours}playground/")


def _add_somebody_with_a_long_address(home: Home) -> None:
    person = make_user("accounting.department@of-a-long-name.home.example", name="Мария Константиновна")
    Membership.objects.create(user=person, client=home.client, role=Role.ACCOUNTANT)


def _keys(home: Home) -> States:
    ours = f"/dashboard/{home.client.pk}/keys/"
    made = {"label": "Сайт", "kind": "live"}
    yield "a key with mistakes", home.browser.post(f"{ours}new/", {"label": "", "cap": "x"})
    yield "a key shown once", home.browser.post(f"{ours}new/", made)
    key = home.client.keys.get(label="Сайт")
    yield "a new key in the place of another", home.browser.post(f"{ours}{key.pk}/rotate/", {"grace": "0"})
    yield "a key that has a successor", home.browser.get(f"{ours}{key.pk}/")
    managing = home.browser.post(f"{ours}new/", {"label": "терраформ", "kind": "mgmt"})
    yield "a managing key shown once", managing


def _webhook(home: Home) -> States:
    ours = f"/dashboard/{home.client.pk}/notices/webhooks/"
    page = f"{ours}{home.webhook.pk}/"
    home.webhook.events = USUAL
    home.webhook.save()
    yield "a webhook among others", home.browser.get(f"/dashboard/{home.client.pk}/notices/")
    event = Event.objects.create(id=home.conversation, client=home.client, kind="test", cause="page states")
    Delivery.objects.create(event=event, channel=home.webhook, status=503, tries=2)
    yield "what a webhook was sent", home.browser.get(page)
    yield "a webhook with mistakes", home.browser.post(f"{ours}new/", {"url": "x"})
    yield "a secret shown once", home.browser.post(f"{page}secret/", follow=True)
    home.browser.post(f"{page}switch/", {"to": "off"})
    yield "a webhook that is off", home.browser.get(page)


def _catalogue() -> States:
    yield "no model found", Browser().get("/models/?q=qqqq&price=x")
    yield "models beside each other", Browser().get("/models/compare/?m=solo/openai&m=nothing")


def _operator(home: Home) -> States:
    """What operators see of customers' pages."""
    operator = Browser()
    operator.force_login(User.objects.create_superuser("operator@xrouter.example"))
    notice = Announcement.objects.latest("pk")
    yield (
        "a notice beforehand",
        operator.get(reverse("admin:accounts_announcement_preview", args=[notice.pk])),
    )
    operator.post(reverse("admin:accounts_client_look", args=[home.client.pk]), {"reason": "обращение 7"})
    yield "through a client's eyes", operator.get(f"/dashboard/{home.client.pk}/")
    yield "no changes through a client's eyes", operator.post(f"/dashboard/{home.client.pk}/promo/")


def _refusals(home: Home) -> States:
    yield "400", Browser().get("/", headers={"host": "evil host"})
    yield "403", home.browser.get("/reauthenticate/")  # who has no password
    yield "403 of a form", Browser(enforce_csrf_checks=True).post("/login/")
    yield "404", Browser().get("/nothing")
    asking = Browser(REMOTE_ADDR="203.0.113.10")
    yield "429", [asking.post("/password/reset/", {"email": f"{n}@x.example"}) for n in range(11)][-1]
    yield "500", _broken(home)
    Switch.objects.filter(name=switches.DASHBOARD).delete()
    Switch.objects.create(name=switches.DASHBOARD, active=False)
    yield "closed for works", home.browser.get("/dashboard/")
    Switch.objects.filter(name=switches.DASHBOARD).delete()


def _broken(home: Home) -> Any:
    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "billing_" in sql:
            raise DatabaseError
        return execute(sql, params, many, context)

    home.browser.raise_request_exception = False
    with connection.execute_wrapper(fail):
        return home.browser.get(f"/dashboard/{home.client.pk}/")
