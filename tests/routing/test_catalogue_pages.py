"""The public catalogue: what is found and in which order, one model's page, models beside each other."""

import json
import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Plan, Role
from billing.models import GenerationStatus
from billing.usage import sum_up
from monitoring import hours
from monitoring.models import Probe
from monitoring.status import Condition
from routing.models import AUTO, Feature, Kind, Model, Readers
from routing.pages import figures
from tests.builders import (
    alice,
    eve,
    make_client,
    make_endpoint,
    make_generation,
    make_model,
    make_provider,
    make_tariff,
    make_user,
    romashka,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Figures of earlier tests are of rows that are gone."""
    figures.latest.forget()


@pytest.fixture
def gigachat():
    return make_provider("gigachat", name="ГигаЧат")


@pytest.fixture
def shelf(gigachat):
    """Three models of two families."""
    pro = make_model(
        "gigachat/pro",
        name="Гигачат Про",
        description="Продвинутая модель, всё ещё быстрая",
        aliases=("GigaChat-2-Pro",),
        context_length=131_072,
        tariff=make_tariff("500", "1500"),
    )
    make_endpoint(pro, gigachat)
    lite = make_model("yandexgpt/lite", name="Лёгкая", context_length=8192, tariff=make_tariff("65", "65"))
    make_endpoint(lite, make_provider("yandexgpt", name="Яндекс"), tools="none", features=[Feature.STREAMING])
    vectors = make_model(
        "gigachat/vectors",
        name="Векторы",
        kind=Kind.EMBEDDINGS,
        max_output=0,
        context_length=512,
        tariff=make_tariff("10", "0"),
    )
    make_endpoint(vectors, gigachat, features=[])


def found(query="", browser=None):
    """The names of models that the list shows, in its order."""
    answer = (browser or Browser()).get(f"/models/?{query}")
    assert answer.status_code == 200
    return re.findall(r'<li>\s*<h2><a href="/models/([^"]+)/">', answer.content.decode())


def page(path, browser=None, status=200):
    answer = (browser or Browser()).get(path)
    assert answer.status_code == status
    return answer.content.decode()


def signed_in(user):
    browser = Browser()
    browser.force_login(user)
    return browser


def scripts(html):
    """All but files of ours, which pages name before anything that somebody wrote."""
    return re.findall(r'<script(?! (?:defer|type="module") src="/static/)[^>]*>', html)


def in_english():
    browser = Browser()
    browser.cookies.load({settings.LANGUAGE_COOKIE_NAME: "en"})
    return browser


# --- The list ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"gigachat/pro", "gigachat/vectors", "yandexgpt/lite"}),
        ("q=ГИГАЧАТ", {"gigachat/pro", "gigachat/vectors"}),
        ("q=gigachat/pro", {"gigachat/pro"}),
        ("q=GigaChat-2-Pro", {"gigachat/pro"}),
        ("q=быстрой+модели", {"gigachat/pro"}),
        ("q=легкая", {"yandexgpt/lite"}),
        ("q=все+еще", {"gigachat/pro"}),
        ("q=яндекс", {"yandexgpt/lite"}),
        ("q=нетакой", set()),
        ("task=embeddings", {"gigachat/vectors"}),
        ("task=chat&provider=gigachat", {"gigachat/pro"}),
        ("price=0,065", {"gigachat/vectors", "yandexgpt/lite"}),
        ("price=0.064", {"gigachat/vectors"}),
        ("context=8192", {"gigachat/pro", "yandexgpt/lite"}),
        ("feature=streaming", {"gigachat/pro", "yandexgpt/lite"}),
        ("feature=streaming&feature=function-calling", {"gigachat/pro"}),
        ("feature=json-schema", {"gigachat/pro"}),
    ],
)
def test_words_and_filters_find_what_they_say(shelf, query, names):
    assert set(found(query)) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["gigachat/vectors", "gigachat/pro", "yandexgpt/lite"]),
        ("price", ["gigachat/vectors", "yandexgpt/lite", "gigachat/pro"]),
        ("context", ["gigachat/pro", "yandexgpt/lite", "gigachat/vectors"]),
    ],
)
def test_the_order_is_as_chosen(shelf, order, names):
    assert found(f"sort={order}") == names


def test_the_list_tells_how_many_there_are_and_what_they_cost(shelf):
    html = page("/models/?task=chat")

    assert "Найдено моделей: 2 из 3" in html
    assert "<dd>0,065 ₽</dd>" in html
    assert "<dd>1,5 ₽</dd>" in html


def test_each_filter_can_be_taken_away(shelf):
    html = page("/models/?q=модель&feature=streaming&feature=json-mode&sort=price")

    queries = re.findall(r'<li><a href="\?([^"]*)"', html)
    assert len(queries) == 3
    assert all("sort=price" in query for query in queries)
    assert "feature=json-mode" in queries[1]
    assert "feature=streaming" not in queries[1]
    assert '<a href="/models/">Сбросить всё</a>' in html


def test_nothing_found_and_nothing_there_are_told(shelf):
    html = page("/models/?q=нетакой")

    assert "Таких моделей нет." in html
    assert "Показать все" in html


def test_an_empty_catalogue_says_so(db):
    assert "Моделей пока нет." in page("/models/")


def test_the_list_takes_as_many_queries_for_many_models(shelf):
    with CaptureQueriesContext(
        connection,
    ) as before:
        page("/models/")
    for _ in range(3):
        make_endpoint()

    with CaptureQueriesContext(connection) as after:
        page("/models/")

    assert len(after) == len(before) <= 6


STRANGE = [
    "price=дорого",
    "price=NaN",
    "price=-1",
    "price=1e999",
    "price=1" + "0" * 5000,
    "context=" + "9" * 5000,
    "context=-1",
    "context=1.5",
    "task=%00",
    "provider=nobody",
    "feature=flying&feature=streaming",
    "sort=--",
    "q=%00",
    "q=" + "я" * 500,
    "q=%ff%fe",
    "q[]=1&q=",
    "&&&==&%",
]


@pytest.mark.parametrize("query", STRANGE)
def test_a_strange_query_is_answered_by_a_page(shelf, query):
    for address in (f"/models/?{query}", f"/models/compare/?{query}&m={query}"):
        assert Browser().get(address).status_code == 200


def test_what_was_not_understood_is_told_and_filters_nothing(shelf):
    html = page("/models/?price=дорого&task=chat")

    assert "Не всё понято" in html
    assert 'class="wrong"' in html
    assert set(found("price=дорого&task=chat")) == {"gigachat/pro", "yandexgpt/lite"}


@pytest.mark.parametrize("path", ["/models/?q={}", "/models/?price={}", "/models/compare/?m={}"])
def test_what_the_address_says_is_text_and_no_markup(shelf, path):
    html = page(path.format("%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))

    assert not scripts(html)


def test_what_people_wrote_of_a_model_is_text_and_no_markup():
    evil = '"><script>alert(1)</script>'
    model = make_model("a/b", name=evil, description=evil, aliases=(evil,))
    make_endpoint(model, make_provider(name=evil))

    pages = [page(path) for path in ("/models/", "/models/a/b/", "/models/compare/?m=a/b")]

    assert [html for html in pages if scripts(html) or "&lt;script" not in html] == []


# --- Who sees what -------------------------------------------------------------------------------------


def restricted():
    """Models that not everybody may ask for, by whose they are."""
    whose = {
        "nobodys": {"visible_to": Readers.PLANS},
        "off": {"is_enabled": False},
        "paid": {"visible_to": Readers.PLANS, "plans": [Plan.PAID]},
        "romashka": {"visible_to": Readers.CLIENTS},
    }
    models = {
        name: make_model(f"closed/{name}", aliases=(f"also-{name}",), **of) for name, of in whose.items()
    }
    for model in models.values():
        make_endpoint(model)
    models["romashka"].clients.add(romashka())
    make_model("closed/unserved")
    return models


def test_a_hidden_model_is_on_no_page_of_those_who_may_not_see_it():
    restricted()
    names = ["nobodys", "off", "paid", "romashka", "unserved"]
    stranger = make_user()
    make_client(plan=Plan.FREE).memberships.create(user=stranger, role=Role.OWNER)

    for browser in (Browser(), signed_in(stranger)):
        assert found(browser=browser) == []
        for name in names:
            page(f"/models/closed/{name}/", browser, status=404)
            page(f"/models/also-{name}/", browser, status=404)
        query = urlencode({"m": [f"closed/{name}" for name in names[:4]]}, doseq=True)
        assert "<table" not in page(f"/models/compare/?{query}", browser)


def test_a_person_sees_what_one_of_his_clients_may_see():
    restricted()

    assert found(browser=signed_in(alice())) == ["closed/paid", "closed/romashka"]
    assert found(browser=signed_in(eve())) == ["closed/paid"]
    page("/models/closed/romashka/", signed_in(alice()))
    page("/models/closed/romashka/", signed_in(eve()), status=404)


def test_a_blocked_client_opens_nothing():
    restricted()
    alice().clients.update(is_active=False)

    assert found(browser=signed_in(alice())) == []


def test_a_model_that_is_hidden_is_gone_at_once(shelf):
    page("/models/yandexgpt/lite/")
    Model.objects.filter(slug="yandexgpt/lite").update(visible_to=Readers.PLANS)

    page("/models/yandexgpt/lite/", status=404)
    assert "yandexgpt/lite" not in found()


# --- One model -------------------------------------------------------------------------------------------


def test_a_model_is_told_with_prices_for_tokens_and_characters(shelf):
    html = page("/models/gigachat/pro/")

    assert "Продвинутая модель" in html
    assert "131\N{NO-BREAK SPACE}072" in html
    assert "0,5 ₽" in html
    assert "≈ 0,17 ₽" in html
    assert "оценка: токен русского текста здесь считается за 3 знака" in html
    assert "<code>temperature</code>" in html
    assert 'href="/v1/models/gigachat/pro/capabilities"' in html


def test_the_first_request_names_the_model_and_no_key(shelf):
    html = page("/models/yandexgpt/lite/")

    code = re.findall(r'<code id="\w+">(.*?)</code>', html, re.DOTALL)
    assert len(code) == 6
    assert all("yandexgpt/lite" in each and "XROUTER_API_KEY" in each for each in code)
    assert "gigachat/lite" not in html
    assert "$XROUTER_API_KEY" in code[0]
    assert "os.environ[&quot;XROUTER_API_KEY&quot;]" in code[1]
    assert "Получить ключ" in html


def test_vectors_are_asked_for_as_vectors(shelf):
    html = page("/models/gigachat/vectors/")

    assert "/v1/embeddings" in html
    assert "chat.completions" not in html


def test_another_name_leads_to_the_models_own(shelf):
    answer = Browser().get("/models/gigachat-2-PRO/")

    assert answer["location"] == "/models/gigachat/pro/"


@pytest.mark.parametrize("name", ["a/b", "%00", "a%0Ab", "..%2f..", "%3Cscript%3E", "я" * 300])
def test_an_unknown_name_is_no_page(shelf, name):
    assert "<script" not in page(f"/models/{name}/", status=404)


def test_the_choice_among_models_has_a_page(gigachat):
    make_endpoint(make_model("gigachat/pro", quality={"general": 80}), gigachat)

    html = page(f"/models/{AUTO}/")

    assert "Автоматический выбор" in html
    assert "сколько у модели, которая ответила" in html


def test_how_a_model_does_is_told_from_requests_and_probes(shelf, gigachat):
    now = timezone.now()
    rows = {"provider": "gigachat", "streamed": True, "first_token_ms": 250, "duration_ms": 1250}
    owner = make_client()
    for number in range(figures.FEWEST):
        failed = {"status": GenerationStatus.FAILED} if number == 0 else {}
        make_generation(owner, created_at=now, tokens_completion=40, **rows, **failed)
    make_generation(owner, created_at=now - timedelta(days=3), **rows)
    Probe.objects.create(provider=gigachat, ok=True)
    Probe.objects.create(provider=gigachat, ok=False, at=now - timedelta(days=3))

    html = page("/models/gigachat/pro/")

    assert "95 %" in html.replace("\N{NO-BREAK SPACE}", " ")
    assert "250 мс · 40,0 токенов/с · запросов: 20" in html
    assert "запросов: 21" in html
    assert "за сутки 100 %, за неделю 50 %" in html
    assert 'class="spark"' in html


def test_few_requests_tell_nothing(shelf):
    make_generation(provider="gigachat", duration_ms=100)

    assert "мало запросов" in page("/models/gigachat/pro/")


def test_what_is_costly_is_worked_out_once_for_many_visitors(shelf):
    page("/models/gigachat/pro/")

    with CaptureQueriesContext(connection) as asked:
        page("/models/gigachat/pro/")

    assert not [each["sql"] for each in asked if "billing_generation" in each["sql"]]
    assert len(asked) <= 9


# --- Beside each other -------------------------------------------------------------------------------------


def columns(html):
    return re.findall(r'<th scope="col"><a href="/models/([^"]+)/">', html)


def test_models_stand_beside_each_other_in_the_order_asked(shelf):
    html = page("/models/compare/?m=yandexgpt/lite&m=GigaChat-2-Pro&m=gigachat/pro")

    assert columns(html) == ["yandexgpt/lite", "gigachat/pro"]
    assert "Вызов функций" in html


def test_unknown_names_are_told_and_the_known_shown(shelf):
    html = page("/models/compare/?m=nobody/knows&m=gigachat/pro&m=")

    assert "Модели «nobody/knows» в каталоге нет." in html
    assert columns(html) == ["gigachat/pro"]


def test_no_more_than_four_are_shown(shelf):
    for number in range(5):
        make_endpoint(make_model(f"many/{number}"))

    html = page("/models/compare/?" + urlencode({"m": [f"many/{number}" for number in range(5)]}, doseq=True))

    assert len(columns(html)) == 4
    assert "остальные не показаны" in html


def test_nothing_to_compare_leads_to_the_models(db):
    assert "К моделям" in page("/models/compare/")


# --- Around them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/models/", "/models/yandexgpt/lite/", "/models/compare/?m=yandexgpt/lite"])
def test_the_pages_are_in_english_but_for_what_operators_wrote(shelf, path):
    html = page(path, in_english())

    ours = re.sub(
        "Гигачат Про|ГигаЧат|Лёгкая|Векторы|Яндекс|Русский|Продвинутая модель, всё ещё быстрая", "", html
    )
    assert not re.search("[А-Яа-яЁё]", ours), re.findall("[А-Яа-яЁё ]+", ours)


@pytest.mark.parametrize("path", ["/models/", "/models/yandexgpt/lite/", "/models/compare/?m=yandexgpt/lite"])
def test_the_pages_have_no_inline_scripts_and_styles(shelf, path):
    html = page(path)

    assert not scripts(html)
    assert not re.search(r"<style|\son\w+=|\sstyle=|javascript:", html)


def test_the_landing_page_and_every_header_lead_there(db):
    assert page("/").count('href="/models/"') == 3


# --- How it did ------------------------------------------------------------------------------------------


def test_a_model_shows_how_it_did_for_a_day_and_a_week(shelf, gigachat):
    now = timezone.now()
    hours.count({gigachat.pk: Condition.OPERATIONAL}, now)
    hours.count({gigachat.pk: Condition.DOWN}, now - timedelta(days=2))
    owner = make_client()
    for duration in [100] * 18 + [9_000] * 2:
        make_generation(owner, created_at=now, duration_ms=duration)
    make_generation(owner, created_at=now - timedelta(days=2), duration_ms=9_000)  # one alone is not shown
    sum_up()

    html = page("/models/gigachat/pro/").replace("\N{NO-BREAK SPACE}", " ")

    assert "24 часа · доступность 100 %" in html
    assert "7 дней · доступность 50 %" in html
    assert html.count('class="down"') == 1
    assert "весь ответ: p50 ≈ 108 мс, p95 ≈ 9 742 мс" in html
    paths = re.findall(r'<path class="l[01]" d="([^"]*)"/>', html)
    assert [path.count("M") for path in paths] == [1] * 4
    lines = [json.loads(unescape(told)) for told in re.findall(r'data-chart="([^"]*)"', html)]
    assert [len(told["moments"]) for told in lines] == [24, 28]
    assert [(line["name"], line["values"][-1], line["values"][-2]) for line in lines[0]["series"]] == [
        ("p50", 108, None),
        ("p95", 9_742, None),
    ]


def test_nothing_is_told_of_what_nobody_asked(shelf):
    html = page("/models/gigachat/pro/")

    assert html.count('<p class="empty">нет данных</p>') == 2
    assert html.count('<p class="empty">мало запросов</p>') == 2


def test_a_model_that_talks_can_be_tried(shelf):
    link = 'href="/dashboard/playground/?model=gigachat/pro"'

    assert link in page("/models/gigachat/pro/")
    assert "/dashboard/playground/" not in page("/models/gigachat/vectors/")
