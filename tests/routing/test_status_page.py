"""The page of the state: what everybody is told, and what nobody is."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis

from monitoring import hours
from monitoring.models import Bulletin, HealthHour, Incident, Kind, Note, Probe
from monitoring.status import Condition
from monitoring.stream import KEY
from routing.conditions import provider_statuses
from routing.models import Circuit, Readers
from routing.pages import figures
from routing.status_page import facts
from routing.status_page.lights import Light, together
from routing.tasks import count_minutes
from tests.builders import alice, make_credential, make_endpoint, make_model, make_provider, make_twin

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Facts of earlier tests are of rows that are gone."""
    figures.latest.forget()
    facts.latest.forget()
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)


@pytest.fixture
def lada():
    endpoint = make_endpoint(make_model("lada/pro", name="Лада Про"), make_provider("lada", name="Лада"))
    make_credential(endpoint.provider)
    return endpoint.provider


def probed(provider, *, ok=True, ago=0):
    at = timezone.now() - timedelta(seconds=ago)
    return Probe.objects.create(
        provider=provider, ok=ok, kind="" if ok else "Unreachable", latency_ms=7, at=at
    )


def page(browser=None, language="ru") -> str:
    browser = browser or Browser()
    browser.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
    answer = browser.get("/status/")
    assert answer.status_code == 200
    return answer.content.decode()


def state() -> dict:
    return json.loads(Browser().get("/status.json").content)


def lights() -> tuple[str, str, str]:
    """Of the API, of Lada, of its model; as programs are told."""
    told = state()
    lada = told["providers"]["lada"]
    return told["api"]["state"], lada["state"], lada["models"]["lada/pro"]["state"]


# --- Now -----------------------------------------------------------------------------------------------


def test_who_answered_works_and_of_whom_nothing_is_known_nothing_is_said(lada):
    assert lights() == ("unknown", "unknown", "unknown")

    probed(lada)
    facts.latest.forget()

    assert lights() == ("operational", "operational", "operational")
    assert '<span class="tag operational">работает</span>' in page()


def test_who_does_not_answer_is_down_and_the_api_is_when_nobody_does(lada):
    probed(lada, ok=False)
    assert lights() == ("down", "down", "down")

    other = make_endpoint(make_model("niva/pro"), make_provider("niva", name="Нива")).provider
    make_credential(other)
    probed(other)
    facts.latest.forget()

    assert lights() == ("degraded", "down", "down")
    assert state()["providers"]["niva"]["state"] == "operational"
    assert "Часть провайдеров отвечает не на все запросы" in page()


def test_the_page_and_the_api_say_the_same_of_each_provider(lada):
    probed(lada)
    probed(lada, ok=False, ago=60)
    probed(lada, ok=False, ago=120)

    told = provider_statuses({})["lada"]

    shown = state()["providers"]["lada"]
    assert (shown["status"], shown["latency"]) == (told.condition, told.latency) == ("down", 7)


def test_an_endpoint_that_an_operator_shut_is_down_while_its_provider_works(lada):
    shut = make_endpoint(make_model("lada/lite"), lada, circuit=Circuit.OPEN)
    probed(lada)

    models = state()["providers"]["lada"]["models"]

    assert {name: each["state"] for name, each in models.items()} == {
        "lada/pro": "operational",
        shut.model.slug: "down",
    }


def test_models_for_some_are_not_named_to_all(lada):
    make_endpoint(make_model("lada/secret", name="Тайная", visible_to=Readers.CLIENTS), lada)
    probed(lada)

    assert "Тайная" not in page()
    assert list(state()["providers"]["lada"]["models"]) == ["lada/pro"]


def test_who_is_simulated_is_told_to_be():
    endpoint = make_endpoint(provider=make_provider("lada", name="Лада"))
    twin = make_twin(endpoint.provider)
    make_credential(twin)
    probed(twin)

    assert state()["providers"]["lada"]["is_simulated"]
    assert "вместо него отвечает имитация" in page()


def test_whoever_reads_english_finds_no_russian_of_ours(outage):
    closed = timezone.now() - timedelta(days=1)
    Incident.objects.create(
        title="x",
        kind=Kind.DEGRADED,
        cause="provider:3",
        provider=outage.provider,
        opened_at=closed - timedelta(hours=1),
        closed_at=closed,
    )
    probed(outage.provider)
    hours.count({outage.provider.pk: Condition.DEGRADED}, timezone.now())

    ours = re.sub("Лада Про|Лада|Русский", "", page(language="en"))

    assert re.findall("[А-Яа-яЁё]+", ours) == []


# --- As long as little is known --------------------------------------------------------------------------


@pytest.fixture
def niva():
    provider = make_endpoint(make_model("niva/pro"), make_provider("niva", name="Нива")).provider
    make_credential(provider)
    return provider


def test_while_nothing_is_known_nothing_is_said_to_work(lada):
    html, told = page(), state()

    assert '<p class="headline unknown" role="status">Данных пока нет</p>' in html
    assert "Всё работает" not in html
    assert "Сбоев не было" not in html
    assert html.count("<span>данных пока нет</span>") == 2  # of the API and of Lada
    assert "Лада, данных пока нет" in html
    for part in (told["api"], told["providers"]["lada"]):
        assert (part["since"], part["minutes_known"], part["is_gathering"]) == (None, 0, True)


def test_one_of_whom_nothing_is_known_does_not_count_as_one_that_works(lada, niva):
    probed(lada)

    told, html = state(), page()

    assert told["api"]["state"] == "unknown"
    assert [each["state"] for each in told["providers"].values()] == ["operational", "unknown"]
    assert "Работает провайдеров: 1 из 2, об остальных данных пока нет" in html
    assert "Всё работает" not in html
    assert "1 providers of 2 work" in page(language="en")

    probed(niva)
    facts.latest.forget()

    assert state()["api"]["state"] == "operational"
    assert "Всё работает" in page()


@pytest.mark.parametrize(
    ("lights", "whole"),
    [
        ([], "unknown"),
        (["unknown", "slow"], "unknown"),
        (["operational", "slow"], "slow"),
        (["unknown", "down"], "degraded"),
        (["operational", "degraded"], "degraded"),
        (["down", "down"], "down"),
    ],
    ids=["nobody", "unknown-slow", "slow", "unknown-down", "degraded", "all-down"],
)
def test_the_whole_works_only_if_each_is_known_to(lights, whole):
    assert together(Light(each) for each in lights) == whole


def test_who_is_watched_since_yesterday_has_no_ninety_days_yet(lada):
    probed(lada)
    yesterday = timezone.now() - timedelta(days=1)
    for minute in range(3):
        well = {lada.pk: Condition.OPERATIONAL, None: Condition.OPERATIONAL}
        hours.count(well, at_minute(yesterday, minute))

    html, told = page(), state()["providers"]["lada"]

    day = timezone.localtime(yesterday).strftime("%d.%m.%Y")
    assert html.count(f"данные собираются с {day}, пока 3 мин") == 2
    assert f"С {day}, когда начался сбор данных, сбоев не было." in html
    assert f"Лада, с {day}: доступность" in html
    assert f"data gathered since {day}, 3 min so far" in page(language="en")
    assert told["since"] == yesterday.strftime("%Y-%m-%dT%H:00:00Z")
    assert (told["minutes_known"], told["is_gathering"]) == (3, True)


@pytest.mark.parametrize(
    ("minutes", "said"), [(59, "59 мин"), (60, "1 ч"), (1_439, "23 ч"), (2_880, "2 дн.")], ids=str
)
def test_how_much_is_known_is_said_in_the_largest_unit(lada, minutes, said):
    moment = timezone.now() - timedelta(days=3)
    HealthHour.objects.create(provider=lada, hour=moment, operational=minutes, counted_at=moment)

    assert f"пока {said}<" in page()


def test_after_ninety_days_no_more_is_said_of_gathering(lada):
    begin = timezone.localtime().replace(hour=12, minute=0) - timedelta(days=89)
    for day in (begin, begin + timedelta(days=80)):
        hours.count({lada.pk: Condition.OPERATIONAL, None: Condition.OPERATIONAL}, day)

    html = page()

    assert "данные собираются" not in html
    assert html.count("данные за 2 из 90 дней") == 2
    assert '<p class="empty">Сбоев не было.</p>' in html
    assert not state()["api"]["is_gathering"]


def test_days_on_which_not_all_worked_are_not_called_days_without_trouble(lada):
    hours.count({lada.pk: Condition.DEGRADED, None: Condition.DEGRADED}, timezone.now())

    html = page()

    assert "Описанных сбоев нет; дни, когда работало не всё, — выше." in html
    assert "сбоев не было" not in html


def at_minute(moment, minute):
    return moment.replace(minute=minute, second=0, microsecond=0)


# --- Ninety days ---------------------------------------------------------------------------------------


def test_each_minute_counts_once_whoever_counts_it_twice(lada, monkeypatch):
    probed(lada)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)

    count_minutes()
    count_minutes()

    rows = HealthHour.objects.order_by("provider").values_list("provider", "operational", "degraded", "down")
    assert list(rows) == [(lada.pk, 1, 0, 0), (None, 1, 0, 0)]


def test_of_whom_nothing_is_known_no_minute_is_counted(lada):
    count_minutes()

    assert not HealthHour.objects.exists()


def test_days_are_moscows_and_a_share_of_minutes_is_told(lada):
    now = timezone.localtime().replace(hour=12, minute=0)
    midnight = now.replace(hour=0)
    for minute, condition in enumerate([Condition.DOWN, Condition.OPERATIONAL, Condition.DEGRADED]):
        hours.count({lada.pk: condition}, midnight - timedelta(minutes=2) + timedelta(minutes=minute))

    days = facts.days(hours.since(midnight - timedelta(days=1))[lada.pk], now)

    assert len(days) == 90
    assert [day.minutes.known for day in days[-3:]] == [0, 2, 1]
    assert [day.minutes.uptime for day in days[-3:]] == [None, 0.5, 1]


def test_a_bar_is_drawn_for_each_day_and_says_what_it_was(lada):
    hours.count({lada.pk: Condition.DOWN, None: Condition.DEGRADED}, timezone.now())

    html = page()

    bars = re.search(r'<article class="card state" id="lada">.*?<svg[^>]*>(.*?)</svg>', html, re.DOTALL)[1]
    today = timezone.localtime().strftime("%d.%m.%Y")
    assert (bars.count('class="nothing"'), bars.count('class="down"')) == (89, 1)
    assert f"{today}: 0 %, не работало 1 мин, частично 0 мин" in bars.replace("\N{NO-BREAK SPACE}", " ")
    assert "доступность 0" in html


# --- Incidents -----------------------------------------------------------------------------------------


@pytest.fixture
def outage(lada):
    found = Incident.objects.create(
        title="секрет-1", kind=Kind.DOWN, cause="provider:1", provider=lada, impact="секрет-2"
    )
    Note.objects.create(incident=found, text="секрет-3", author="секрет-4")
    return found


def test_an_outage_is_told_in_our_words_and_nothing_that_operators_wrote_for_themselves(outage):
    Incident.objects.create(title="секрет-5", kind=Kind.BALANCE, cause="balance:1", provider=outage.provider)
    Incident.objects.create(title="секрет-6", kind=Kind.BOOKS, cause="books")
    Incident.objects.create(title="секрет-7", kind=Kind.DOWN)

    html, told, feed = page(), Browser().get("/status.json"), Browser().get("/status/incidents.atom")

    assert html.count("Лада не отвечает") == 1
    assert "Lada" not in html
    for answer in (html, told.content.decode(), feed.content.decode()):
        assert "секрет" not in answer


def test_what_is_published_is_told_to_all_in_their_language(outage):
    books = Incident.objects.create(title="секрет-6", kind=Kind.BOOKS, cause="books")
    Bulletin.objects.create(
        incident=books, title="Счета", title_en="Bills", text="Считаем", text_en="We count"
    )
    Bulletin.objects.create(incident=outage, title="Лада чинится", text="Ждём", is_public=False)

    assert "Счета" in (russian := page())
    assert "Считаем" in russian
    assert "We count" in (english := page(language="en"))
    assert "Bills" in english
    assert "Лада чинится" not in russian


def test_a_false_alarm_can_be_hidden(outage):
    Incident.objects.update(is_hidden=True)

    assert "Сбоев сейчас нет." in page()


def test_what_is_over_is_told_with_how_long_it_was(outage):
    began = timezone.now() - timedelta(days=2)
    Incident.objects.update(opened_at=began, closed_at=began + timedelta(minutes=42))
    old = began - timedelta(days=120)
    Incident.objects.create(
        title="x", kind=Kind.DOWN, cause="provider:2", provider=outage.provider, opened_at=old, closed_at=old
    )

    html = page()

    assert "42\N{NO-BREAK SPACE}минуты" in html
    assert html.count("Лада не отвечает") == 1


def test_the_feed_is_atom(outage):
    answer = Browser().get("/status/incidents.atom")

    text = answer.content.decode()
    assert answer["content-type"] == "application/atom+xml; charset=utf-8"
    assert re.findall(r"<entry><title>(.*?)</title>", text) == ["Лада не отвечает"]
    assert f"/status/#incident-{outage.pk}</id>" in text


# --- While the database is slow ------------------------------------------------------------------------


def test_the_page_asks_the_database_once_in_a_while_whoever_looks(lada):
    browser = Browser()
    browser.force_login(alice())
    with CaptureQueriesContext(
        connection,
    ) as first:
        page(browser)
    with CaptureQueriesContext(connection) as second:
        page(browser)

    assert len(first) <= 25
    assert len(second) == 0


def test_what_is_known_is_shown_while_the_database_says_nothing(lada):
    probed(lada)
    page()
    known = facts.latest.facts()
    facts.latest._found, facts.latest._until = replace(known, at=known.at - facts.OLD), 0
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_healthhour RENAME TO monitoring_nothing")

    html = page()

    assert "База данных отвечает медленно" in html
    assert '<span class="tag operational">работает</span>' in html


def test_without_a_database_a_first_visitor_is_told_so(lada):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_healthhour RENAME TO monitoring_nothing")

    assert "Состояние сейчас узнать нельзя" in page()
    assert Browser().get("/status.json").status_code == 503
