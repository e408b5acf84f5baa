"""Pages as a browser gets them: headers, languages, and the way through them in a real one."""

import json
import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from accounts import roles
from accounts.models import User
from billing import ledger
from billing.holds import Ask
from billing.models import Cap, Generation, GenerationStatus, Reset
from billing.money import roubles
from billing.usage import sum_up
from routing.bootstrap import read_catalogue
from routing.reading import read_chat
from tests.browsing import chromium, portal
from tests.builders import (
    alice,
    make_client,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    make_user,
    operators_browser,
    romashka,
)
from tests.xrouter.test_portal_axe import COLOURS, grave
from xrouter.views import server_error

PASSWORD = "ромашка-и-пароль"
CYRILLIC = re.compile("[А-Яа-яЁё]")


# --- What every page is sent with ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/login/", "/nothing", "/v1/nothing", "/docs/guides/ru/tools/"])
def test_pages_load_nothing_inline_and_nothing_of_others(client, db, path):
    policy = client.get(path)["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_reference_may_style_inline_and_nothing_more(client):
    policy = dict(
        part.strip().split(" ", 1) for part in client.get("/docs/")["content-security-policy"].split(";")
    )

    assert {name for name, sources in policy.items() if "unsafe" in sources} == {"style-src"}


def test_the_portal_may_style_inline_and_evaluate_but_has_its_scripts_in_files(client, db):
    usual, answer = client.get("/"), operators_browser().get("/admin/accounts/client/add/")
    before, policy = (
        dict(part.strip().split(" ", 1) for part in page["content-security-policy"].split(";"))
        for page in (usual, answer)
    )

    assert {name: sources for name, sources in policy.items() if before.get(name) != sources} == {
        "style-src": "'self' 'unsafe-inline'",
        "script-src": "'self' 'unsafe-eval'",
    }
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", answer.content.decode())


def test_the_reading_reference_may_also_make_its_own_worker_and_nothing_more(client, db):
    usual, policy = (
        dict(part.strip().split(" ", 1) for part in client.get(path)["content-security-policy"].split(";"))
        for path in ("/", "/docs/redoc/")
    )

    assert {name: sources for name, sources in policy.items() if usual.get(name) != sources} == {
        "style-src": "'self' 'unsafe-inline'",
        "worker-src": "blob:",
    }


@pytest.mark.parametrize(
    "path", ["/", "/login/", "/nothing", "/docs/", "/docs/redoc/", "/docs/guides/en/errors/"]
)
def test_pages_have_no_inline_scripts_and_styles(client, db, path):
    html = client.get(path).content.decode()

    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", html)
    assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', html)


def test_an_unknown_page_is_a_page_and_not_an_envelope(client):
    answer = client.get("/nothing")

    assert answer.status_code == 404
    assert "Страница не найдена" in answer.content.decode()


def test_a_bug_is_a_page_without_details(rf):
    answer = server_error(rf.get("/dashboard/"))

    assert answer.status_code == 500
    assert "Ошибка на нашей стороне" in answer.content.decode()


def test_a_bug_beside_the_views_of_the_api_is_in_the_envelope(rf):
    answer = server_error(rf.get("/v1/models"))

    assert answer.status_code == 500
    assert json.loads(answer.content)["error"]["metadata"]["error_type"] == "internal_error"


# --- The landing page ------------------------------------------------------------------------------


def test_the_samples_speak_to_the_host_that_was_asked(client, db, settings):
    settings.ALLOWED_HOSTS = ["xrouter.example"]

    html = client.get("/", headers={"host": "xrouter.example"}, secure=True).content.decode()

    assert "curl https://xrouter.example/v1/chat/completions" in html
    assert 'base_url="https://xrouter.example/v1"' in html


def test_the_first_request_is_one_that_would_be_answered(client, db):
    html = client.get("/").content.decode()

    body = re.search(r"-d '(.*?)'</code>", html, re.DOTALL)[1]
    chat = read_chat(body.encode())

    assert chat["model"] in read_catalogue()["models"]
    assert f'model="{chat["model"]}"' in html


@pytest.mark.parametrize("is_open", [True, False])
def test_a_stranger_signs_up_from_there_where_that_is_open(client, db, settings, is_open):
    settings.XROUTER_SIGN_UP = is_open
    assert ('href="/signup/"' in client.get("/").content.decode()) is is_open

    client.force_login(make_user())
    assert 'href="/signup/"' not in client.get("/").content.decode()


# --- Languages -------------------------------------------------------------------------------------


def test_pages_are_russian_unless_asked_otherwise(client, db):
    assert '<html lang="ru">' in client.get("/").content.decode()


def test_the_choice_of_a_language_is_kept(client, db):
    client.post("/i18n/setlang/", {"language": "en", "next": "/"})

    assert '<html lang="en">' in client.get("/").content.decode()


def test_english_pages_are_english_throughout(client, db):
    person = make_user("ann@acme.example")
    owner = make_client("Acme")
    owner.members.add(person)
    for status in GenerationStatus.values:
        make_generation(owner, status=status, usage_source="estimated", attempts=[{"is_twin": True}])
    key, _ = make_key(owner, "server")
    Cap.objects.create(key=key, amount=1, reset=Reset.WEEKLY)
    ledger.top_up(owner, 2, cause="payment 1")
    ledger.place_hold(Ask(uuid4(), owner.pk, key.pk, 1, 1, 60))
    english = {"accept-language": "en"}
    frames = ("/docs/", "/docs/redoc/")  # the references themselves are drawn by scripts
    public = [client.get(path, headers=english) for path in ("/", "/login/", "/nothing", *frames)]
    wrong = client.post("/login/", {"username": "a@b.example", "password": "x"}, headers=english)
    client.force_login(person)
    refused = client.post(f"/dashboard/{owner.pk}/promo/", {"code": "x"}, headers=english, follow=True)
    sum_up()
    usage = f"usage/generations/{Generation.objects.first().pk}/"
    money = ("movements/", "movements/?kind=x", "billing/", "billing/invoices/", "billing/invoices/new/")
    told = ("notices/", "notices/webhooks/new/")
    addresses = (*money, *told, "usage/", "usage/?split=key&since=x", "usage/generations/", usage)
    private = [refused, *(client.get(f"/dashboard/{owner.pk}/{path}", headers=english) for path in addresses)]

    for answer in (*public, wrong, *private):
        assert not CYRILLIC.findall(answer.content.decode().replace("Русский", ""))


@pytest.mark.parametrize("path", ["/docs/", "/docs/redoc/"])
def test_an_english_frame_says_that_the_reference_is_in_russian(client, path):
    russian, english = (
        client.get(path, headers={"accept-language": language}).content.decode() for language in ("ru", "en")
    )

    assert '<html lang="en">' in english
    assert '<main id="' in english and 'lang="ru"' in english
    assert "are in Russian" in english
    assert "на русском" not in russian


def test_what_a_request_was_not_is_answered_by_no(client, db):
    person = make_user("ann@acme.example")
    owner = make_client("Acme")
    owner.members.add(person)
    client.force_login(person)
    page = f"/dashboard/{owner.pk}/usage/generations/{make_generation(owner).pk}/"

    english = client.get(page, headers={"accept-language": "en"}).content.decode()

    assert re.search(r"Streaming</th>\s*<td[^>]*>no</td>", english)


# --- In a real browser -------------------------------------------------------------------------------


@pytest.fixture
def person(transactional_db) -> User:
    user = alice()
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def many(person) -> list[Generation]:
    home = romashka()
    key, _ = make_key(home, "сервер")
    Cap.objects.create(key=key, amount=roubles("1500.123456"), reset=Reset.MONTHLY)
    ledger.top_up(home, roubles("123456.789012"), cause="payment 1", note="счёт " + "7" * 60)
    ledger.place_hold(Ask(uuid4(), home.pk, key.pk, roubles("12.345678"), 1, 600, model_requested="m" * 80))
    cost = {"cost": roubles("12.345678"), "refunded": roubles("1.5")}
    made = [make_generation(home, key=key, attempts=[{"is_twin": True}], **cost) for _ in range(60)]
    sum_up()
    return made


def sign_in(page: Page) -> None:
    page.get_by_label("Электронная почта").fill("alice@romashka.example")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Войти").click()


@pytest.mark.parametrize("width", [390, 1200])
def test_a_person_comes_from_the_landing_page_to_the_oldest_generation(live_server, many, width):
    with chromium(viewport={"width": width, "height": 800}) as page:
        page.goto(live_server.url)
        page.get_by_role("link", name="Открыть кабинет").click()
        sign_in(page)

        page.get_by_role("heading", name="Ромашка").wait_for()
        assert page.get_by_text("двойник").count() == 50
        page.get_by_role("link", name="Более ранние").click()
        page.get_by_role("link", name="К новым").wait_for()
        assert page.get_by_text("двойник").count() == 10

        page.get_by_role("button", name="Выйти").click()
        page.get_by_role("heading", name="Вход").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(live_server, many, scheme):
    with chromium(viewport={"width": 390, "height": 800}, color_scheme=scheme) as page:
        guides = (
            "/docs/guides/ru/",
            "/docs/guides/ru/errors/",
            "/docs/guides/en/limits/",
            "/docs/guides/ru/moving-from-openai/",
        )
        ours = f"/dashboard/{many[0].client_id}"
        listed = f"{ours}/usage/generations/"
        private = (
            *("/dashboard/", f"{ours}/movements/", f"{ours}/usage/?by=hour", listed),
            *(f"{ours}/billing/", f"{ours}/billing/invoices/new/", f"{ours}/notices/"),
            f"{listed}{many[0].pk}/",
        )
        for path in ("/", "/login/", *private, "/docs/", "/docs/redoc/", *guides):
            page.goto(live_server.url + path)
            if path == "/dashboard/":
                sign_in(page)
                page.get_by_role("heading", name="Ромашка").wait_for()

            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_long_names_make_no_list_of_generations_wider_than_the_window(live_server, many):
    named = {"model": "m-" + "x" * 180, "provider": "a-provider-of-a-name-that-is-rather-long"}
    make_generation(many[0].client, status="failed", error_type="model_capability_mismatch", **named)
    ours = f"{live_server.url}/dashboard/{many[0].client_id}/"
    with chromium() as page:
        page.goto(ours)
        sign_in(page)
        page.get_by_role("heading", name="Ромашка").wait_for()
        for path in ("", "usage/generations/"):
            page.goto(ours + path)
            for width in (320, 390, 930, 1090, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_the_reference_draws_itself_from_our_own_files(live_server, db):
    with chromium() as page:
        page.goto(f"{live_server.url}/docs/")

        page.get_by_text("/v1/chat/completions").first.wait_for()
        schema = page.get_by_text("ChatRequest")
        page.locator(".models-scroll").hover()
        for _ in range(200):  # what is out of sight of so long a list is not drawn
            if schema.count():
                break
            page.mouse.wheel(0, 200)
            page.wait_for_timeout(20)
        schema.first.wait_for()


def test_the_reading_reference_draws_itself_and_searches_in_our_own_files(live_server, db):
    with chromium() as page:
        page.goto(f"{live_server.url}/docs/redoc/")

        page.get_by_text("/v1/chat/completions").first.wait_for()
        page.get_by_text("HTTP-статус и объект").first.wait_for()
        # A field of a request, which rules between fields would hide.
        page.get_by_text("Разброс ответов").first.wait_for()
        page.get_by_role("searchbox").or_(page.get_by_placeholder("Search...")).first.fill("embeddings")
        page.locator("[data-role='search:results']").wait_for()
        page.wait_for_load_state("networkidle")


def test_the_reading_reference_is_dark_where_its_reader_is(live_server, db):
    with chromium(color_scheme="dark") as page:
        page.goto(f"{live_server.url}/docs/redoc/")
        said = page.get_by_text("Разброс ответов").first
        said.wait_for()

        found = (said, page.locator(".react-tabs__tab--selected").first, page.locator("#redoc h5").first)
        text, selected, heading = (each.evaluate("(seen) => getComputedStyle(seen).color") for each in found)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 22)"
        assert text == "rgb(230, 234, 231)"
        assert selected == "rgb(13, 21, 18)"
        assert heading == "rgb(157, 170, 164)"
        page.get_by_text("Show pattern").first.wait_for()
        assert grave(page, COLOURS) == []


def test_the_reference_sends_what_its_reader_entered_and_nothing_of_the_pages(live_server, db):
    sent = []
    with chromium() as page:
        page.route(
            "**/v1/chat/completions", lambda route: (sent.append(route.request), route.fulfill(json={}))
        )
        page.goto(f"{live_server.url}/docs/")
        page.get_by_role("button", name="Authorize").click()
        page.locator(".auth-container input").first.fill("xr-test-entered")
        page.locator(".auth-btn-wrapper .authorize").first.click()
        page.locator(".btn-done").first.click()
        asked = page.locator("#operations-chat-createChatCompletion")
        asked.locator(".opblock-summary-control").click()
        asked.get_by_role("button", name="Try it out").click()
        asked.get_by_role("button", name="Execute").click()
        asked.get_by_text("Server response").wait_for()

    assert sent[0].headers["x-api-key"] == "xr-test-entered"
    assert not {name for name in sent[0].headers if "csrf" in name}


def test_the_references_and_guides_lead_to_each_other(live_server, db):
    with chromium() as page:
        page.goto(f"{live_server.url}/docs/guides/ru/errors/")
        page.get_by_role("link", name="ReDoc").click()
        page.get_by_role("link", name="Swagger UI").click()
        page.get_by_role("link", name="ReDoc").click()
        page.get_by_role("link", name="Руководства").first.click()

        page.get_by_role("heading", name="Руководства").wait_for()


def test_the_admin_works_under_the_same_policy(live_server, person):
    person.is_staff = person.is_superuser = True
    person.save()
    with chromium() as page:
        page.goto(f"{live_server.url}/login/?next=/admin/")
        sign_in(page)

        page.get_by_role("heading", name="Сегодня").first.wait_for()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_portal_is_no_wider_than_the_window(live_server, person, width):
    person.is_staff = person.is_superuser = True
    person.save()
    roles.establish()
    make_endpoint(make_model("solo/one"), make_provider("long", name="ПровайдерСИменемВОдноДлинноеСлово"))
    pages = ("/admin/", f"/admin/accounts/user/{make_user().pk}/change/")
    with portal(live_server, person) as page:
        page.set_viewport_size({"width": width, "height": 800})
        for path in pages:
            page.goto(live_server.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
