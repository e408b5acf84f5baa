"""What people with bad manners try on customers' pages, each of it on every page there is.

Which pages there are is asked of Django: see ``tests/every_page.py``.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.core import mail
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser

from accounts.journal import Change
from accounts.models import Announcement, Client, Plan, Role
from billing.ledger import wallet_of
from tests.builders import make_endpoint, make_model, make_provider, open_our_accounts
from tests.every_page import METHODS, Home, Place, home, named, of_clients, places, public
from tests.markup import inline

pytestmark = pytest.mark.django_db

OWNER, ADMIN, DEVELOPER, ACCOUNTANT = Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.ACCOUNTANT
KEEPERS = {OWNER, ADMIN, DEVELOPER}
PAYERS = {OWNER, ADMIN, ACCOUNTANT}
# Whom it lets through, it asks providers for: see tests/routing/playground.
CHAT = "dashboard/<int:pk>/playground/chat/"
# Who may write at which address of a client.
WRITERS: dict[str, set[Role]] = {
    "dashboard/<int:pk>/members/": {OWNER, ADMIN},
    "dashboard/<int:pk>/members/<int:number>/role/": {OWNER, ADMIN},
    "dashboard/<int:pk>/members/<int:number>/remove/": {OWNER, ADMIN},
    "dashboard/<int:pk>/invitations/<int:number>/withdraw/": {OWNER, ADMIN},
    "dashboard/<int:pk>/leave/": set(Role),
    "dashboard/<int:pk>/promo/": set(Role),
    "dashboard/<int:pk>/keys/new/": KEEPERS,
    "dashboard/<int:pk>/keys/<int:number>/": KEEPERS,
    "dashboard/<int:pk>/keys/<int:number>/stop/": KEEPERS,
    "dashboard/<int:pk>/keys/<int:number>/remove/": KEEPERS,
    "dashboard/<int:pk>/keys/<int:number>/start/": KEEPERS,
    "dashboard/<int:pk>/keys/<int:number>/rotate/": KEEPERS,
    "dashboard/<int:pk>/playground/code/": set(Role),
    "dashboard/<int:pk>/playground/conversations/": KEEPERS,
    # Its author's alone.
    "dashboard/<int:pk>/playground/conversations/<uuid:number>/": set(),
    CHAT: KEEPERS,
    "dashboard/<int:pk>/billing/": PAYERS,
    "dashboard/<int:pk>/billing/invoices/new/": PAYERS,
    "dashboard/<int:pk>/billing/invoices/<int:number>/withdraw/": PAYERS,
    "dashboard/<int:pk>/notices/": PAYERS,
    "dashboard/<int:pk>/notices/webhooks/new/": {OWNER, ADMIN},
    "dashboard/<int:pk>/notices/webhooks/<int:number>/": {OWNER, ADMIN},
    "dashboard/<int:pk>/notices/webhooks/<int:number>/test/": {OWNER, ADMIN},
    "dashboard/<int:pk>/notices/webhooks/<int:number>/secret/": {OWNER, ADMIN},
    "dashboard/<int:pk>/notices/webhooks/<int:number>/switch/": {OWNER, ADMIN},
    "dashboard/<int:pk>/notices/webhooks/<int:number>/remove/": {OWNER, ADMIN},
}
# Addresses to which others than our own pages send forms; each with its reason.
FROM_ELSEWHERE: dict[str, str] = {}

# Markup of several sorts, in a length that every name may have.
MARKUP = "<img src=x onerror=a()>'\"</title><script>b()</script>{{7|add:7}}{% now 'Y' %}"
RAW = re.compile(r"<img src=x|<script>b")
WORDS = {"label": "x", "kind": "live", "email": "x@home.example", "role": "owner", "grace": "0", "code": "X"}

each_place = pytest.mark.parametrize("place", places(), ids=str)


@pytest.fixture(scope="module")
def homes(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Home, Home]]:
    """Alice's and Eve's, which all tests look at; what a test changes is undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        open_our_accounts()
        Announcement.objects.create(text=MARKUP, starts_at="2026-01-01T00:00Z")
        yield home("Ромашка " + MARKUP, MARKUP), home("Лопух")
        transaction.set_rollback(True)


@pytest.fixture
def alices(homes: tuple[Home, Home]) -> Home:
    return homes[0]


@pytest.fixture
def eves(homes: tuple[Home, Home], alices: Home) -> Home:
    return homes[1]


@pytest.fixture(scope="module")
def pages(homes: tuple[Home, Home]) -> dict[str, Any]:
    """Each page that can be looked at, as its owner gets it."""
    return {each.declared: homes[0].browser.get(each.filled(homes[0])) for each in places()}


# --- Others' rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", named(), ids=str)
def test_who_belongs_elsewhere_finds_nothing_by_any_method(place: Place, alices: Home, eves: Home) -> None:
    theirs = {place.filled(alices), place.filled(eves, alices)}
    before = Change.objects.count()

    told = {
        (method, address): eves.browser.generic(method, address, query_string="").status_code
        for address in theirs
        for method in METHODS
    }
    told |= {("form", address): eves.browser.post(address, WORDS).status_code for address in theirs}

    known = {*place.methods, *(["form"] if "POST" in place.methods else [])}
    assert {asked: status for asked, status in told.items() if status != 404 and asked[0] in known} == {}
    assert set(told.values()) <= {404, 405}
    assert Change.objects.count() == before


# --- Forms of other sites -----------------------------------------------------------------------------

EVERY_FORM = [
    *((str(place), place) for place in places()),
    *((str(place), example) for place, example in public()),
]


@pytest.mark.parametrize(("declared", "where"), EVERY_FORM, ids=[declared for declared, _ in EVERY_FORM])
def test_a_form_that_is_not_ours_does_nothing(declared: str, where: Any, alices: Home) -> None:
    if declared in FROM_ELSEWHERE or declared.startswith(("v1/", "^v1")):
        pytest.skip(FROM_ELSEWHERE.get(declared, "keys are sent in headers, which other sites cannot"))
    address = where if isinstance(where, str) else where.filled(alices)
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies = alices.browser.cookies
    token = browser.get("/login/", follow=True).context["csrf_token"]
    before = Change.objects.count()

    told = [
        browser.post(address, WORDS),
        browser.post(
            address, {**WORDS, "csrfmiddlewaretoken": str(token)}, HTTP_ORIGIN="https://evil.example"
        ),
        browser.post(address, '{"label": "x"}', content_type="text/plain"),
    ]

    # Of allauth's and of ours all ask for the token first; the references take no form at all.
    status = 405 if declared in MAY_STYLE else 403
    assert [answer.status_code for answer in told] == [status] * 3
    assert Change.objects.count() == before


# --- Who may write ------------------------------------------------------------------------------------


def test_every_form_of_a_client_has_its_writers() -> None:
    taken = {str(each) for each in of_clients() if "POST" in each.methods}

    assert taken == WRITERS.keys()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("place", [each for each in of_clients() if "POST" in each.methods], ids=str)
def test_a_role_writes_where_it_may_and_nowhere_else(place: Place, role: Role, alices: Home) -> None:
    if str(place) == CHAT and role in KEEPERS:
        pytest.skip("it would ask a provider")
    browser = alices.browser_of(role)
    before = Change.objects.count()

    status = browser.post(place.filled(alices), {"role": "developer", "grace": "3600"}).status_code

    if role in WRITERS[str(place)]:
        # What takes an object of JSON does not take a form.
        assert status == 400 if "/playground/" in str(place) else status in {200, 302}
    else:
        assert status in {403, 404}
        assert Change.objects.count() == before


@pytest.mark.parametrize("role", [DEVELOPER, ACCOUNTANT])
def test_management_keys_are_owners_and_administrators(role: Role, alices: Home) -> None:
    made = {"label": "терраформ", "kind": "mgmt"}
    keys = f"/dashboard/{alices.client.pk}/keys/"

    refused = alices.browser_of(role).post(f"{keys}new/", made)
    assert refused.status_code == (403 if role == ACCOUNTANT else 200)
    assert not alices.client.keys.filter(kind="mgmt").exists()

    shown = alices.browser_of(ADMIN).post(f"{keys}new/", made)
    assert "/v1/keys" in shown.content.decode()
    key = alices.client.keys.get(kind="mgmt")
    for what in ("", "stop/", "start/", "remove/", "rotate/"):
        answer = alices.browser_of(role).post(f"{keys}{key.pk}/{what}", {"label": "x", "grace": "0"})
        assert answer.status_code == 403
    key.refresh_from_db()
    assert key.works()


# --- Fields that are not in the form ------------------------------------------------------------------

FORMS: dict[str, dict[str, str]] = {
    "account/": {"name": "Алиса"},
    "dashboard/<int:pk>/keys/new/": {"label": "новый", "kind": "live"},
    "dashboard/<int:pk>/keys/<int:number>/": {"label": "тот же"},
    "dashboard/<int:pk>/members/": {"email": "new@home.example", "role": "developer"},
    "dashboard/<int:pk>/members/<int:number>/role/": {"role": "admin"},
    "dashboard/<int:pk>/keys/<int:number>/rotate/": {"grace": "3600"},
}
# What each of them may change of which sort of row.
CHANGED = {
    "account/": {"user": {"name"}},
    "dashboard/<int:pk>/members/<int:number>/role/": {"membership": {"role"}},
    # The cap is taken away: the form says nothing of it.
    "dashboard/<int:pk>/keys/<int:number>/": {"apikey": {"label"}, "cap": {"amount", "id", "key", "reset"}},
}


@pytest.mark.parametrize("place", [each for each in places() if str(each) in FORMS], ids=str)
def test_fields_that_a_form_does_not_have_are_not_written(place: Place, alices: Home, eves: Home) -> None:
    Client.objects.filter(pk=alices.client.pk).update(plan=Plan.FREE)
    stranger = str(eves.client.pk)
    more = {
        **dict.fromkeys(("is_staff", "is_superuser", "is_active", "email_verified"), "on"),
        **dict.fromkeys(("balance", "held", "price", "credit_limit", "cost"), "1000000"),
        **dict.fromkeys(
            ("client", "client_id", "user", "user_id", "owner", "created_by", "made_with"), stranger
        ),
        **dict.fromkeys(("prefix", "digest", "disabled_at", "removed_at", "password", "last_used_at"), "x"),
        "plan": "paid",
        "id": stranger,
        "pk": stranger,
        "successor": stranger,
        "routing": '{"sort":"price"}',
    }
    last = Change.objects.order_by("pk").last().pk

    answer = alices.browser.post(place.filled(alices), {**more, **FORMS[str(place)]})

    assert answer.status_code in {200, 302}
    written = list(Change.objects.filter(pk__gt=last))
    assert written
    for change in written:
        allowed = CHANGED.get(str(place), {}).get(change.content_type.model)
        assert allowed is None or set(change.changes) <= allowed
    alices.client.refresh_from_db()
    alices.owner.refresh_from_db()
    assert alices.client.plan == Plan.FREE
    assert wallet_of(alices.client).balance == 100_000_000
    assert not alices.owner.is_staff
    assert not eves.client.keys.exclude(pk=eves.key.pk).exists()
    for key in alices.client.keys.all():
        assert (key.disabled_at, key.removed_at, key.made_with, key.routing) == (None, None, None, {})
        assert key.created_by == alices.owner


# --- What pages say and how they are kept -------------------------------------------------------------

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}
MAY_STYLE = {"docs/", "docs/redoc/"}


def check_headers(answer: Any, *, may_style: bool = False) -> None:
    assert {name: answer[name] for name in EVERYWHERE} == EVERYWHERE
    policy = dict(part.strip().split(" ", 1) for part in answer["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert may_style or policy["style-src"] == "'self'"
    for cookie in answer.cookies.values():
        assert cookie["samesite"] == "Lax"
        is_gone = cookie["max-age"] == 0
        assert is_gone or cookie["httponly"] or cookie.key in {"csrftoken", "django_language"}


@each_place
def test_a_page_of_a_person_is_his_alone_and_what_people_wrote_is_text(
    place: Place, pages: dict[str, Any], homes: tuple[Home, Home]
) -> None:
    answer = pages[str(place)]
    body = b"".join(islice(answer, 100)) if answer.streaming else answer.content
    html = body.decode()

    check_headers(answer)
    # What asks for the password once more, and what belongs to a second factor that is not there.
    of_sign_in = {403, 404} if str(place).startswith(("mfa/", "reauthenticate/")) else set()
    assert answer.status_code in {200, 302, 405} | of_sign_in
    assert answer.status_code > 302 or "no-store" in answer["cache-control"]
    assert homes[0].secret not in html
    if answer["content-type"].startswith("text/html"):
        assert not RAW.search(html)
        assert inline(html) == []


def test_what_people_wrote_is_on_pages_at_all(pages: dict[str, Any]) -> None:
    """Otherwise the test above would look for nothing."""
    telling = [
        place for place, answer in pages.items() if b"&lt;img src=x" in getattr(answer, "content", b"")
    ]

    assert len(telling) > 10


@pytest.mark.parametrize(("place", "example"), public(), ids=str)
def test_a_page_for_everybody_says_what_may_be_done_with_it(place: Place, example: str, alices: Home) -> None:
    if str(place).startswith(("v1/", "^v1", "favicon")):
        pytest.skip("no page")
    answer = Browser().get(example)

    check_headers(answer, may_style=str(place) in MAY_STYLE)
    if answer["content-type"].startswith("text/html") and answer.status_code == 200:
        assert not RAW.search(answer.content.decode())
        assert str(place) in MAY_STYLE or inline(answer.content.decode()) == []


def test_names_of_models_and_providers_are_text_to_everybody(alices: Home) -> None:
    model = make_model("nasty/model", name=MARKUP[:50], provider_name=MARKUP[:50])
    make_endpoint(model, make_provider(name=MARKUP[:50]))

    for path in ("/models/", "/models/nasty/model/", "/models/compare/?model=nasty/model"):
        html = alices.browser.get(path).content.decode()
        assert "&lt;img src=x" in html
        assert not RAW.search(html)


@each_place
def test_a_page_under_the_name_of_a_file_is_not_there(place: Place, alices: Home) -> None:
    for end in ("x.css", "x.js", "%2fx.css", ";x.css"):
        answer = alices.browser.get(place.filled(alices) + end)
        assert answer.status_code == 404, end
        check_headers(answer)


def test_what_people_wrote_is_no_template_and_no_markup_in_letters(alices: Home) -> None:
    alices.browser.post(
        f"/dashboard/{alices.client.pk}/members/", {"email": "guest2@home.example", "role": "developer"}
    )

    (letter,) = mail.outbox
    assert MARKUP in letter.body
    assert "\n" not in letter.subject
    assert letter.content_subtype == "plain"


# --- Odd questions, and what breaks -------------------------------------------------------------------

ASKED = (
    *("q", "before", "after", "since", "until", "by", "split", "measure", "model", "key", "status", "only"),
    *("page", "p", "o", "sort", "limit", "label", "next", "id", "lang", "from", "to"),
)
ODD = [
    *("%%%%" + "я" * 1_000, "а\0б", "-1", "9" * 30),
    *("0001-01-01", "00000000-0000-0000-0000-000000000000", "//evil.example"),
]


@pytest.mark.parametrize("place", [each for each in places() if "GET" in each.methods], ids=str)
def test_odd_questions_are_answered_or_refused(place: Place, alices: Home) -> None:
    alices.browser.raise_request_exception = False
    told = {odd: alices.browser.get(place.filled(alices), dict.fromkeys(ASKED, odd)) for odd in ODD}
    alices.browser.raise_request_exception = True

    assert {answer.status_code for answer in told.values()} <= {200, 302, 400, 403, 404, 405}
    leads = {urljoin("http://testserver/a/", answer.get("location", "")) for answer in told.values()}
    assert {urlsplit(address).netloc for address in leads} == {"testserver"}


@each_place
def test_what_breaks_is_told_by_a_number_and_nothing_else(place: Place, alices: Home) -> None:
    """Everything but who is asking fails: the database does not answer."""

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.search(r'"(django_session|accounts_user|waffle|accounts_switch)"|SAVEPOINT', sql):
            return execute(sql, params, many, context)
        raise DatabaseError("тайна базы")

    alices.browser.raise_request_exception = False
    with connection.execute_wrapper(fail):
        answer = alices.browser.get(place.filled(alices))
    alices.browser.raise_request_exception = True

    check_headers(answer)
    html = answer.content.decode()
    assert not re.search("тайна базы|Traceback|DatabaseError|/accounts/|site-packages", html)
    assert answer.status_code != 500 or re.search("req_[0-9a-f]{24}", html)


def test_most_pages_break_without_the_database(alices: Home) -> None:
    """Otherwise the test above would look at nothing."""

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "billing_" in sql:
            raise DatabaseError("тайна базы")
        return execute(sql, params, many, context)

    alices.browser.raise_request_exception = False
    with connection.execute_wrapper(fail):
        answer = alices.browser.get(f"/dashboard/{alices.client.pk}/")
    alices.browser.raise_request_exception = True

    assert answer.status_code == 500
    assert answer["x-request-id"] in answer.content.decode()
