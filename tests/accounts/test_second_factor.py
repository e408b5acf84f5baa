"""The second factor: kept sealed, asked for at each log-in, and nothing of the portal opens without it."""

import base64
import json
import re
import time
from urllib.parse import unquote

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse
from playwright.sync_api import Page

from accounts import roles
from accounts.errors import SecondFactorUnreadable
from accounts.models import Change, User
from accounts.second_factor import SecondFactorAdapter, forget_second_factor
from tests.addresses import addresses, of_admin
from tests.browsing import chromium
from tests.builders import alice, make_user

PASSWORD = "оператор-и-пароль"
OPERATOR = "operator@xrouter.example"
SET_UP, ASK = "/mfa/totp/activate/", "/mfa/reauthenticate/"
PERIOD = 30


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser(OPERATOR, PASSWORD)


@pytest.fixture
def secret(operator) -> str:
    """Of an operator who has a second factor."""
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    RecoveryCodes.activate(operator)
    return secret


@pytest.fixture
def needed(settings) -> None:
    settings.XROUTER_STAFF_SECOND_FACTOR = True


def code(secret: str, later: int = 0) -> str:
    """What an app shows now, or ``later`` half minutes."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD + later))


def offered(browser: Browser) -> str:
    """The secret that the page shows to whoever sets one up."""
    return browser.get(SET_UP).context["form"].secret


def recovery_codes(user: User) -> list[str]:
    return Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()


def give_password(browser: Browser, path: str = "/login/"):
    return browser.post(path, {"username": OPERATOR, "password": PASSWORD, "next": "/admin/"})


def give_code(browser: Browser, text: str):
    return browser.post("/mfa/authenticate/", {"code": text})


# --- How it is kept -------------------------------------------------------------------------------------


def test_neither_secret_can_be_read_in_the_database(operator, secret):
    kept = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))

    assert secret not in kept
    assert not [text for text in recovery_codes(operator) if text in kept]
    assert not re.search(r'"seed": "[0-9a-f]{80}"', kept)


def test_a_secret_that_waits_for_its_first_code_cannot_be_read_in_the_session_either(client, operator):
    give_password(client)
    secret = offered(client)
    wrong = client.post(SET_UP, {"code": "x"})
    kept = Session.objects.get(pk=client.session.session_key)

    assert wrong.context["form"].secret == secret
    assert "mfa.totp.secret" in kept.get_decoded()
    for text in (secret, base64.b32decode(secret).hex()):
        assert text not in json.dumps(kept.get_decoded())
    client.post(SET_UP, {"code": code(secret)})
    assert Authenticator.objects.filter(user=operator, type="totp").exists()
    assert "mfa.totp.secret" not in client.session


@pytest.mark.parametrize("left", ["JBSWY3DPEHPK3PXP", None])
def test_a_waiting_secret_that_cannot_be_read_gives_way_to_another(client, operator, left):
    give_password(client)
    session = client.session
    session["mfa.totp.secret"] = left or SecondFactorAdapter().encrypt("JBSWY3DPEHPK3PXP")[:-4]
    session.save()

    answer = client.post(SET_UP, {"code": code("JBSWY3DPEHPK3PXP")})

    assert "Код не подошёл" in answer.content.decode()
    assert client.post(SET_UP, {"code": code(answer.context["form"].secret)}).status_code == 302


def test_an_earlier_key_still_opens_it_and_a_strange_one_does_not(operator, secret, settings):
    factor = Authenticator.objects.get(type="totp").wrap()
    before, settings.SECRET_KEY = settings.SECRET_KEY, "a new key of this installation"

    with pytest.raises(SecondFactorUnreadable):
        factor.validate_code(code(secret))
    settings.SECRET_KEY_FALLBACKS = ["another earlier one", before]

    assert factor.validate_code(code(secret))


def test_nothing_of_it_is_on_the_desk(client, operator, secret):
    client.force_login(User.objects.create_superuser("other@xrouter.example"))

    assert client.get("/admin/mfa/authenticator/").status_code == 404
    assert client.get("/admin/account/emailaddress/").status_code == 404


# --- Logging in --------------------------------------------------------------------------------------------


def test_whoever_has_one_passes_it_at_each_log_in(client, secret):
    for later in (0, 1):
        assert give_password(client)["location"] == "/mfa/authenticate/"
        assert client.get("/admin/").status_code == 302
        assert give_code(client, code(secret, later))["location"] == "/admin/"
        assert client.get("/admin/").status_code == 200
        client.post("/logout/")


def test_a_code_is_good_once(client, secret):
    used = code(secret)
    give_password(client)
    give_code(client, used)

    other = Browser()
    give_password(other)
    refused = give_code(other, used)

    assert "Код не подошёл" in refused.content.decode()
    assert other.get("/admin/").status_code == 302


def test_a_recovery_code_is_good_once(client, operator, secret):
    used = recovery_codes(operator)[0]
    give_password(client)
    assert give_code(client, used).status_code == 302

    other = Browser()
    give_password(other)

    assert give_code(other, used).status_code == 200
    assert used not in recovery_codes(operator)


def test_codes_are_not_guessed_without_end(client, operator, secret):
    give_password(client)
    for number in range(10):
        client.defaults["REMOTE_ADDR"] = f"198.51.100.{number}"
        give_code(client, "000000")

    refused = give_code(client, code(secret, 1))

    assert "Слишком много попыток" in refused.content.decode()
    assert client.get("/admin/").status_code == 302


def test_the_session_between_password_and_code_is_a_new_one_too(client, secret):
    client.session.save()
    before = client.session.session_key
    give_password(client)
    between = client.session.session_key
    give_code(client, code(secret))

    assert len({before, between, client.session.session_key}) == 3


# --- The portal --------------------------------------------------------------------------------------


def test_the_portal_has_no_way_in_of_its_own(client, operator):
    for answer in (client.get("/admin/login/?next=/admin/accounts/"), give_password(client, "/admin/login/")):
        assert answer["location"].startswith("/login/?next=/admin/")
    assert client.get("/admin/").status_code == 302


def test_a_person_who_is_no_operator_is_told_so_and_not_sent_in_circles(client, db):
    client.force_login(alice())

    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403


def test_without_the_setting_a_password_is_enough(client, operator):
    give_password(client)

    assert client.get("/admin/").status_code == 200


def test_with_it_every_address_of_the_portal_leads_to_the_page_that_sets_one_up(client, operator, needed):
    client.force_login(operator)
    places = [of_admin(place) for place in addresses() if place.startswith("admin/")]
    assert len(places) > 50

    for place in places:
        ask = client.post if place.endswith(("add/", "change/", "delete/")) else client.get
        where = "/admin/" if place == "/admin/login/" else f"{SET_UP}?next={place}"
        assert ask(place)["location"].startswith(where), place


def test_a_session_from_before_the_second_factor_has_to_pass_it(client, operator, secret):
    client.force_login(operator)

    assert client.get("/admin/")["location"] == f"{ASK}?next=/admin/"
    assert client.post("/admin/accounts/client/add/", {"name": "x"})["location"].startswith(ASK)
    passed = client.post(ASK, {"code": code(secret), "next": "/admin/"})

    assert passed["location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_customers_need_none(client, db, needed):
    client.force_login(make_user())

    assert client.get("/dashboard/").status_code == 200


# --- Setting it up, and losing it --------------------------------------------------------------------------


def test_a_code_that_set_it_up_is_used(client, operator, needed):
    give_password(client)
    secret = offered(client)
    used = code(secret)
    codes = client.post(SET_UP, {"code": used}, follow=True)
    assert codes.request["PATH_INFO"] == "/mfa/recovery-codes/"
    assert client.get("/admin/").status_code == 200

    other = Browser()
    give_password(other)

    assert give_code(other, used).status_code == 200
    assert give_code(other, code(secret, 1)).status_code == 302


def test_what_changes_it_asks_for_the_password_however_fresh_the_session_is(client, secret):
    give_password(client)
    give_code(client, code(secret))

    for path in ("/mfa/totp/deactivate/", "/mfa/recovery-codes/", "/mfa/recovery-codes/generate/"):
        assert unquote(client.get(path)["location"]) == f"/reauthenticate/?next={path}"


def test_english_pages_of_it_are_english(client, operator, needed):
    english = {"accept-language": "en"}
    give_password(client)
    client.get("/admin/", headers=english)
    pages = [client.get(path, headers=english) for path in (SET_UP, "/mfa/", "/reauthenticate/")]
    set_up = {"code": code(pages[0].context["form"].secret)}
    pages += [
        client.post(SET_UP, {"code": "x"}, headers=english),
        client.post(SET_UP, set_up, headers=english, follow=True),
        *(
            client.get(f"/mfa/{path}/", headers=english)
            for path in ("totp/deactivate", "recovery-codes/generate")
        ),
        client.get("/mfa/", headers=english),
    ]
    client.post("/logout/")
    give_password(client)
    pages.append(client.get("/mfa/authenticate/", headers=english))

    for page in pages:
        assert page.status_code == 200
        assert not re.findall("[А-Яа-яЁё]", page.content.decode().replace("Русский", ""))


def test_pages_with_secrets_are_kept_nowhere(client, operator, secret):
    client.force_login(operator)
    client.post("/reauthenticate/", {"password": PASSWORD})

    for path in ("/mfa/", "/mfa/recovery-codes/", "/mfa/recovery-codes/download/"):
        assert "no-store" in client.get(path)["cache-control"]


def test_whoever_turns_it_off_is_let_in_by_password_alone(client, operator, secret):
    client.force_login(operator)
    client.post("/reauthenticate/", {"password": PASSWORD})

    client.post("/mfa/totp/deactivate/")

    assert not Authenticator.objects.exists()
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == ([operator.email], "Второй фактор снят — XRouter")
    assert "://" not in letter.body
    client.post("/logout/")
    assert give_password(client)["location"] == "/admin/"


def test_a_lost_one_is_forgotten_with_its_recovery_codes(client, operator, secret, needed):
    forget_second_factor(operator)

    assert not Authenticator.objects.exists()
    assert give_password(client)["location"] == "/admin/"
    assert client.get("/admin/")["location"].startswith(SET_UP)


def test_the_last_operators_is_forgotten_by_a_command(operator, secret, capsys):
    call_command("forget_second_factor", OPERATOR)

    assert not Authenticator.objects.exists()
    with pytest.raises(CommandError):
        call_command("forget_second_factor", "nobody@xrouter.example")


def browser_of(person: User) -> Browser:
    browser = Browser()
    browser.force_login(person)
    return browser


def page_that_forgets(person: User) -> str:
    return reverse("admin:accounts_user_forget-second-factor", args=[person.pk])


def test_an_owner_forgets_it_for_somebody_who_has_lost_it(client, operator, secret):
    forgotten = make_user(is_staff=True)
    TOTP.activate(forgotten, secret)
    owner = make_user(is_staff=True)
    roles.establish()
    owner.groups.add(Group.objects.get(name="owner"))
    client.force_login(owner)
    address = reverse("admin:accounts_user_change", args=[forgotten.pk])
    shown = client.get(address).content.decode()

    asked = client.get(page_that_forgets(forgotten))
    mute = client.post(page_that_forgets(forgotten), {"reason": ""})
    assert Authenticator.objects.filter(user=forgotten).exists()
    done = client.post(page_that_forgets(forgotten), {"reason": "звонил, сменил телефон"})

    assert page_that_forgets(forgotten) in shown
    assert "входит по одному паролю" in asked.content.decode()
    assert mute.context["form"].errors.keys() == {"reason"}
    assert done["location"] == address
    assert not Authenticator.objects.filter(user=forgotten).exists()
    assert [letter.to for letter in mail.outbox] == [[forgotten.email]]
    entry = Change.objects.get_for_object(forgotten).first()
    assert (entry.actor, "звонил, сменил телефон" in str(entry.additional_data)) == (owner, True)
    assert page_that_forgets(forgotten) not in client.get(address).content.decode()
    assert Authenticator.objects.filter(user=operator).exists()


def test_nobody_forgets_his_own_nor_that_of_one_who_may_do_more(operator, secret):
    roles.establish()
    owner, helper = (make_user(is_staff=True) for _ in range(2))
    owner.groups.add(Group.objects.get(name="owner"))
    helper.groups.add(Group.objects.get(name="support"))
    for person in (owner, helper):
        TOTP.activate(person, secret)
        RecoveryCodes.activate(person)
    settled = Authenticator.objects.count()

    for who, whose in ((owner, owner), (owner, operator), (helper, owner), (operator, operator)):
        browser = browser_of(who)
        used = recovery_codes(who)[0]
        assert browser.post(ASK, {"code": used, "next": "/admin/"}).status_code == 302
        assert browser.post(page_that_forgets(whose), {"reason": "x"}).status_code == 403
    assert Authenticator.objects.count() == settled


# --- In a real browser -------------------------------------------------------------------------------


def fill_in_password(page: Page) -> None:
    page.get_by_label("Электронная почта").fill(OPERATOR)
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Войти").click()


def fill_in_code(page: Page, text: str, button: str = "Войти") -> None:
    page.get_by_label("Код").fill(text)
    page.get_by_role("button", name=button, exact=True).click()


def test_an_operator_sets_one_up_and_comes_back_with_a_code_and_on_paper(live_server, needed):
    User.objects.create_superuser(OPERATOR, PASSWORD)
    portal = {"name": "Сегодня"}
    with chromium() as page:
        page.goto(f"{live_server.url}/admin/")
        fill_in_password(page)
        page.get_by_text("подключите его").wait_for()
        assert page.locator("img.qr").evaluate("image => image.complete && image.naturalWidth > 0")
        secret = page.locator("#secret").inner_text()
        fill_in_code(page, code(secret), "Подключить")
        on_paper = page.locator("#codes").inner_text().split()
        page.get_by_role("link", name="Продолжить").click()
        page.get_by_role("heading", **portal).first.wait_for()

        for text in (code(secret, 1), on_paper[3]):
            page.goto(f"{live_server.url}/mfa/")
            page.get_by_role("button", name="Выйти").click()
            page.goto(f"{live_server.url}/admin/")
            fill_in_password(page)
            fill_in_code(page, text)
            page.get_by_role("heading", **portal).first.wait_for()

    assert len(on_paper) == 10
