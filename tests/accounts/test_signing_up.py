"""Signing up by mail: one letter between form and dashboard, and no word to strangers on who is here."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from accounts import agreements, signing_up
from accounts.models import Client, Consent, Role, User
from billing.ledger import wallet_of
from tests.builders import alice, make_client, make_user, operators_browser, romashka

pytestmark = pytest.mark.django_db
PASSWORD = "сирень-и-пароль"
EMAIL = "ann@siren.example"
FORM = {
    "email": EMAIL,
    "password1": PASSWORD,
    "organisation": "Сирень",
    "personal_data": "on",
    "terms": "on",
    "website": "",
}


def sign_up(browser: Browser, source: str = "203.0.113.7", **fields: str):
    form = {name: value for name, value in (FORM | fields).items() if value is not None}
    return browser.post("/signup/", form, REMOTE_ADDR=source)


def link_in(letter: mail.EmailMessage) -> str:
    """The path of the first link that the letter has."""
    return re.search(r"http://testserver(/\S+)", letter.body)[1]


def sign_in(browser: Browser, email: str = EMAIL, password: str = PASSWORD):
    return browser.post("/login/", {"username": email, "password": password})


def test_a_person_signs_up_confirms_and_owns_a_client_without_money(client):
    sent = sign_up(client)
    before = (client.get("/dashboard/").status_code, Client.objects.count())
    page = client.get(link_in(mail.outbox[0]))
    confirmed = client.post(link_in(mail.outbox[0]), follow=True)

    assert sent["location"] == "/signup/sent/"
    assert before == (302, 0)
    assert page.status_code == 200
    own = User.objects.get(email=EMAIL).memberships.get()
    assert confirmed.redirect_chain[-1] == (f"/dashboard/{own.client.pk}/", 302)
    assert (own.role, own.client.name, wallet_of(own.client).balance) == (Role.OWNER, "Сирень", 0)


def test_what_was_agreed_to_is_kept_with_version_moment_and_address(client):
    sign_up(client)

    kept = Consent.objects.order_by("document").values_list("user__email", "document", "version", "address")
    assert list(kept) == [
        (EMAIL, document, agreements.current(document), "203.0.113.7")
        for document in ("personal-data", "terms")
    ]
    assert Consent.objects.filter(given_at__lte=timezone.now()).count() == 2


@pytest.mark.parametrize("box", ["personal_data", "terms"])
def test_without_a_consent_nobody_is_signed_up(client, box):
    answer = sign_up(client, **{box: None})

    assert answer.context["form"].has_error(box)
    assert not User.objects.exists()
    assert not mail.outbox


def test_until_the_address_is_confirmed_a_password_opens_nothing(client):
    sign_up(client)
    browser = Browser()

    answer = sign_in(browser)

    assert answer["location"] == "/signup/sent/"
    assert browser.get("/dashboard/").status_code == 302
    assert browser.get("/account/").status_code == 302


def test_a_link_confirms_once_and_only_by_a_form(client):
    sign_up(client)
    link = link_in(mail.outbox[0])
    browser = Browser()

    looked = browser.get(link)
    was_confirmed = EmailAddress.objects.get().verified
    first, second = browser.post(link), browser.post(link)

    assert (looked.status_code, was_confirmed) == (200, False)
    assert (first.status_code, first["location"], second.status_code) == (302, "/login/", 404)
    assert "уже использована" in browser.get(link).content.decode()


def test_who_confirms_in_another_browser_signs_in_there(client):
    sign_up(client)
    browser = Browser()

    browser.post(link_in(mail.outbox[0]))

    assert browser.get("/account/").status_code == 302
    assert sign_in(browser)["location"] == "/dashboard/"


def test_a_link_expires(client, settings):
    sign_up(client)
    settings.ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 0

    assert client.post(link_in(mail.outbox[0])).status_code == 404
    assert not EmailAddress.objects.get().verified


def test_whom_an_operator_has_made_needs_no_letter(client):
    make_user("old@romashka.example", password=PASSWORD)
    client.post("/password/reset/", {"email": "old@romashka.example"})  # a stranger may have asked

    assert sign_in(client, "old@romashka.example")["location"] == "/dashboard/"


def test_nobody_learns_from_the_form_who_has_an_account(client):
    alice()
    known = sign_up(Browser(), email="alice@romashka.example")
    new = sign_up(Browser())

    assert (known.status_code, known["location"]) == (new.status_code, new["location"])
    assert [letter.to for letter in mail.outbox] == [["alice@romashka.example"], [EMAIL]]
    assert "уже есть" in mail.outbox[0].body
    assert "signup/confirm" not in mail.outbox[0].body
    assert not alice().consents.exists()


class Counting(MD5PasswordHasher):
    algorithm = "counting"
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("email", [EMAIL, "alice@romashka.example"], ids=["nobody", "somebody"])
def test_for_a_known_address_as_much_is_hashed_as_for_a_new_one(client, settings, email):
    alice()
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    Counting.hashed = 0

    sign_up(client, email=email)

    assert Counting.hashed == 1


def test_a_program_that_fills_in_everything_is_told_nothing_and_gets_nothing(client):
    answer = sign_up(client, website="https://spam.example")

    assert answer["location"] == "/signup/sent/"
    assert not mail.outbox
    assert not User.objects.exists()


def test_one_source_signs_up_so_often_and_others_are_not_kept_out():
    statuses = [sign_up(Browser(), email=f"a{number}@x.example").status_code for number in range(11)]

    assert statuses == [302] * 10 + [429]
    assert sign_up(Browser(), source="198.51.100.1").status_code == 302


def test_to_one_address_one_letter_goes_in_a_while(client):
    for number in range(3):
        sign_up(Browser(), source=f"198.51.100.{number}")

    assert len(mail.outbox) == 1


@pytest.mark.parametrize(("organisation", "name"), [("", EMAIL), ("Ромашка", f"Ромашка ({EMAIL})")])
def test_a_client_is_called_by_the_address_where_there_is_no_free_name(client, organisation, name):
    romashka()
    sign_up(client, organisation=organisation)

    client.post(link_in(mail.outbox[0]))

    assert User.objects.get(email=EMAIL).clients.get().name == name


@pytest.mark.parametrize("name", ["Приз: https://evil.example", "www.evil.example", "a@evil.example"])
def test_nobody_advertises_by_the_name_of_an_organisation(client, name):
    assert sign_up(client, organisation=name).context["form"].has_error("organisation")


def test_where_sign_up_is_closed_a_sentence_says_so(client, settings):
    settings.XROUTER_SIGN_UP = False

    shown, sent = client.get("/signup/"), sign_up(client)

    for answer in (shown, sent):
        assert "Самостоятельная регистрация здесь отключена" in answer.content.decode()
    assert not User.objects.exists()
    assert "/signup/" not in client.get("/login/").content.decode()


@pytest.mark.parametrize(
    ("host", "status", "letters"), [("evil.example", 400, 0), ("testserver:81@evil.example", 400, 0)]
)
def test_a_strange_host_gets_no_letter(client, host, status, letters):
    answer = client.post("/signup/", FORM, headers={"host": host})

    assert (answer.status_code, len(mail.outbox)) == (status, letters)


def test_letters_lead_where_the_settings_say_whatever_host_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.XROUTER_PUBLIC_URL = "https://xrouter.example"

    client.post("/signup/", FORM, headers={"host": "evil.example", "x-forwarded-host": "evil.example"})

    assert "https://xrouter.example/signup/confirm/" in mail.outbox[0].body
    assert "evil" not in mail.outbox[0].message().as_string()


def test_where_any_host_is_allowed_and_none_is_named_no_letter_is_written(client, settings):
    settings.ALLOWED_HOSTS = ["*"]

    assert sign_up(client).status_code == 302
    assert not mail.outbox


def test_letters_that_cannot_be_sent_are_told_to_nobody(client, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    assert sign_up(client)["location"] == "/signup/sent/"


def test_a_sign_up_that_nobody_confirms_is_forgotten_and_nothing_else_is(client):
    sign_up(client)
    sign_up(Browser(), email="late@siren.example")
    sign_up(Browser(), email="done@siren.example")
    client.post(link_in(mail.outbox[-1]))
    alice()
    make_user("unused@romashka.example")
    long_ago = timezone.now() - timedelta(days=8)
    User.objects.exclude(email=EMAIL).update(date_joined=long_ago)

    signing_up.forget_unconfirmed()

    left = set(User.objects.values_list("email", flat=True))
    assert left == {EMAIL, "done@siren.example", "alice@romashka.example", "unused@romashka.example"}
    assert Consent.objects.filter(user__email="late@siren.example").count() == 0


@pytest.mark.parametrize("document", agreements.Document.values)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_each_text_has_a_page_in_each_language(client, settings, document, language):
    settings.XROUTER_OPERATOR = "ООО «Пример <b>»"
    headers = {"accept-language": language}
    versions = agreements.versions(document)

    newest = client.get(f"/legal/{document}/", headers=headers).content.decode()
    named = client.get(f"/legal/{document}/{versions[0]}/", headers=headers)

    assert "ООО «Пример &lt;b&gt;»" in newest
    assert named.status_code == 200
    assert "{" not in newest.partition("<article")[2].partition("</article>")[0]
    assert client.get(f"/legal/{document}/1999-01-01/", headers=headers).status_code == 404
    assert client.get("/legal/nothing/").status_code == 404


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ru", "язык страниц и писем, который я выбрал"),
        ("en", "language of pages and letters that I have chosen"),
    ],
)
def test_the_consent_names_the_chosen_language_among_what_is_kept(client, language, said):
    shown = client.get("/legal/personal-data/", headers={"accept-language": language}).content.decode()

    assert said in " ".join(shown.split())


def test_a_client_named_alike_in_the_meantime_does_not_stop_a_confirmation(client):
    sign_up(client)
    make_client("Сирень")

    client.post(link_in(mail.outbox[0]))

    assert User.objects.get(email=EMAIL).clients.get().name == f"Сирень ({EMAIL})"


def test_an_operator_removes_a_person_with_the_consents_and_no_consent_alone(client):
    sign_up(client)
    person, operator = User.objects.get(email=EMAIL), operators_browser()
    consent = person.consents.first()

    alone = operator.post(f"/admin/accounts/consent/{consent.pk}/delete/", {"post": "yes"})
    operator.post(f"/admin/accounts/user/{person.pk}/delete/", {"post": "yes"})

    assert alone.status_code == 403
    assert not User.objects.filter(pk=person.pk).exists()


# --- One more client -------------------------------------------------------------------------------

NEW = "/account/organisations/new/"


def test_whoever_is_here_makes_a_few_more_clients_for_himself_and_owns_them(client):
    person = alice()
    client.force_login(person)

    answers = [client.post(NEW, {"name": name}) for name in ("Ромашка", "Сирень", "Лютик")]

    names = [one.name for one in person.clients.order_by("pk")]
    assert names == ["Ромашка", "Ромашка (alice@romashka.example)", "Сирень"]
    assert [answer.status_code for answer in answers] == [302, 302, 200]
    assert "обратитесь к оператору" in answers[2].content.decode()
    assert {one.role for one in person.memberships.all()} == {Role.OWNER}
    assert wallet_of(person.clients.last()).balance == 0


def test_an_owner_who_was_invited_may_make_as_many_as_others(client):
    person = make_user()
    for _ in range(3):
        make_client(founder=alice()).memberships.create(user=person, role=Role.OWNER)
    client.force_login(person)

    assert client.post(NEW, {"name": "Лютик"}).status_code == 302


def test_where_sign_up_is_closed_nobody_makes_clients_for_himself(client, settings):
    settings.XROUTER_SIGN_UP = False
    client.force_login(alice())

    assert client.get(NEW).status_code == client.post(NEW, {"name": "Лютик"}).status_code == 404
    assert NEW not in client.get("/account/").content.decode()


@pytest.mark.parametrize("name", ["", "я" * 151, "https://spam.example", "www.spam", "a@b"])
def test_a_name_that_is_none_makes_no_client(client, name):
    person = alice()
    client.force_login(person)

    assert client.post(NEW, {"name": name}).context["form"].errors.keys() == {"name"}
    assert person.clients.count() == 1
