"""What the pages of usage show, and to whom."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.urls import reverse

from accounts.models import Client
from billing.charts import HEIGHT, ceiling, dashed, stacked
from billing.models import UsageMark
from billing.money import roubles
from billing.usage import sum_up
from billing.usage_views import GENERATIONS_PER_PAGE, SERIES
from tests.builders import alice, eve, make_client, make_generation, make_key, make_user, romashka

pytestmark = pytest.mark.django_db

# Half past one in Moscow, the next day already.
NIGHT = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
DAYS = {"since": "2026-11-20", "until": "2026-11-22"}


@pytest.fixture
def home(client) -> Client:
    """Romashka, with Alice signed in."""
    client.force_login(alice())
    return romashka()


def page(browser, owner: Client, name: str = "usage", **said: str):
    answer = browser.get(reverse(name, args=[owner.pk]), {**DAYS, **said})
    assert answer.status_code == 200
    return answer


def shown(answer) -> str:
    return " ".join(answer.content.decode().split())


def ask(owner: Client, at: datetime = NIGHT, **fields):
    fields = {"tokens_prompt": 10, "tokens_completion": 5, "cost": roubles("1.5"), **fields}
    return make_generation(owner, created_at=at, **fields)


# --- The page -----------------------------------------------------------------------------------------


def test_a_period_without_requests_says_so(client, home):
    assert "За этот период запросов нет." in shown(page(client, home))


def test_totals_are_those_of_the_period_in_moscow(client, home):
    ask(home, duration_ms=1_000, first_token_ms=120, refunded=roubles("0.5"))
    ask(home, status="failed", cost=0)
    ask(home, status="cancelled")
    ask(home, NIGHT - timedelta(hours=2))  # on the 21st at half past eleven: still the 20th
    ask(make_client(), cost=roubles("77"))
    sum_up()

    told = page(client, home, since="2026-11-21", until="2026-11-21").context["totals"]

    assert (told.requests, told.answers, told.errors, told.cancelled) == (3, 1, 1, 1)
    assert (told.cost, told.refunded, told.tokens) == (roubles("3"), roubles("0.5"), 45)
    assert told.first_token == 120
    assert 800 <= told.p50 == told.p95 <= 1_200


def test_days_are_moscows_and_hours_are_shown_by_its_clock(client, home):
    ask(home)
    sum_up()

    days = page(client, home).context["table"]
    hours = page(client, home, by="hour").context["table"]

    assert [f"{row['at']:%d.%m %H:%M}" for row in days + hours] == ["21.11 00:00", "21.11 01:00"]
    assert days[0]["sum"] == "1,50\xa0₽"


@pytest.mark.parametrize(("measure", "sums"), [("cost", "3,00\xa0₽"), ("tokens", "30"), ("requests", "2")])
def test_a_chart_has_a_table_of_the_same(client, home, measure, sums):
    ask(home)
    ask(home, model="yandexgpt/pro")
    sum_up()

    answer = page(client, home, measure=measure)

    assert [part.name for part in answer.context["parts"]] == ["gigachat/pro", "yandexgpt/pro"]
    assert answer.context["table"][0]["sum"] == sums
    assert shown(answer).count('<rect class="s1"') == 2  # in the chart and beside its name


@pytest.mark.parametrize(
    ("said", "moment", "unit"),
    [
        ({}, ("21.11.2026", "21.11"), {"per": 1_000_000, "least": 2, "most": 6, "sign": "₽"}),
        ({"by": "hour", "measure": "tokens"}, ("21.11.2026 01:00", "21.11 01:00"), {"per": 1, "sign": ""}),
    ],
    ids=["by day", "by hour"],
)
def test_a_browser_is_told_the_same_to_draw(client, home, said, moment, unit):
    ask(home)
    ask(home, model="yandexgpt/pro")
    sum_up()

    answer = page(client, home, **said)

    told = json.loads(answer.context["told"])
    assert told["unit"] == {**told["unit"], **unit}
    assert [(each["name"], each["values"]) for each in told["series"]] == [
        (part.name, part.values) for part in answer.context["parts"]
    ]
    place = told["moments"].index(moment[0])
    assert told["ticks"][place] == moment[1]
    assert all(each["values"][place] for each in told["series"])
    assert {len(told["moments"]), len(told["ticks"])} == {len(each["values"]) for each in told["series"]}


def test_filters_leave_what_they_say(client, home):
    key, _ = make_key(home, "сайт")
    ask(home, key=key)
    ask(home, key=key, model="yandexgpt/pro")
    ask(home)
    sum_up()

    def requests(**said: str) -> int:
        return page(client, home, **said).context["totals"].requests

    assert [requests(), requests(key=str(key.pk)), requests(model="yandexgpt/pro")] == [3, 2, 1]
    parts = page(client, home, split="key").context["parts"]
    assert {part.name: part.requests for part in parts} == {f"сайт ({key.prefix}…)": 2, "удалённый ключ": 1}


def test_a_members_usage_is_that_of_the_keys_he_has_made(client, home):
    anna = make_user("anna@romashka.example")
    for key in (make_key(home, "сайт", created_by=anna)[0], make_key(home, "бот", created_by=anna)[0]):
        ask(home, key=key)
    ask(home, key=make_key(home, "из админки")[0], status="failed", cost=0)
    sum_up()

    told = page(client, home, split="member", measure="errors").context

    assert told["title"] == "Ошибки по дням по участникам"
    assert [(part.name, part.requests, part.errors, sum(part.values)) for part in told["parts"]] == [
        ("ключи, созданные не в кабинете", 1, 1, 1),
        (str(anna), 2, 0, 0),
    ]


def test_times_of_answers_are_medians_which_are_not_added_up(client, home):
    for number in range(SERIES + 1):
        for day, took in ((0, 1_000), (1, 4_000)):
            ask(home, NIGHT + timedelta(days=day), model=f"family/model-{number}", duration_ms=took)
    ask(home, model="family/model-0", status="failed", cost=0)
    for _ in range(9):
        ask(home, model="family/never", status="failed", cost=0)
    sum_up()

    answer = page(client, home, measure="latency")

    told = answer.context
    assert [part.name for _number, part in told["shown"]] == [f"family/model-{n}" for n in range(SERIES)]
    assert told["parts"][0].latency is None
    first = told["parts"][1]
    assert first.values[0] is None  # nobody asked on the first day
    assert 800 <= first.values[1] <= 1_200
    assert 3_200 <= first.values[2] <= 4_800
    assert 800 <= first.latency <= 1_200
    drawn = json.loads(told["told"])
    assert (drawn["kind"], drawn["unit"]["sign"], drawn["series"][0]["values"]) == (
        "lines",
        "мс",
        first.values,
    )
    assert len(told["chart"].blocks) == 2 * SERIES
    assert "Всего" not in shown(answer).partition("<details>")[2].partition("</details>")[0]
    assert "Показаны 6, у которых больше всего запросов" in shown(answer)


def test_a_dash_is_at_its_height():
    drawn = dashed([[50, None], [100, 25]])

    assert drawn.top == 100
    assert [(block.number, block.x, block.y) for block in drawn.blocks] == [
        (0, "0.00", f"{HEIGHT / 2:.2f}"),
        (1, "0.00", "0.00"),
        (1, "500.00", f"{HEIGHT * 3 / 4:.2f}"),
    ]


def test_a_chart_has_few_colours_and_its_table_all_models(client, home):
    for number in range(SERIES + 2):
        ask(home, model=f"family/model-{number}", cost=roubles(number + 1))
    sum_up()

    answer = page(client, home)

    names = [part.name for _number, part in answer.context["shown"]]
    assert names[0] == f"family/model-{SERIES + 1}"
    assert (len(names), names[-1]) == (SERIES, "остальные")
    assert len(answer.context["parts"]) == SERIES + 2
    assert sum(sum(part.values) for _number, part in answer.context["shown"]) == answer.context["totals"].cost


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"since": "2026-11-23"}, "Конец периода раньше начала."),
        ({"since": "2025-11-20"}, "Период — не больше 366 дней."),
        ({"since": "0001-01-01", "until": "0001-01-02"}, "Таких дней у нас нет."),
        ({"since": "2026-11-01", "by": "hour"}, "По часам — не больше 14 дней."),
        ({"since": "вчера"}, 'class="wrong"'),
        ({"key": "999999"}, 'class="wrong"'),
        ({"by": "second"}, 'class="wrong"'),
        ({"model": "m" * 201}, 'class="wrong"'),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_told(client, home, said, told):
    assert told in shown(page(client, home, **said))


def test_what_is_not_counted_yet_is_told_once_it_takes_long(client, home):
    ask(home)
    assert "ещё не посчитаны" not in shown(page(client, home))

    UsageMark.objects.update(at=NIGHT)

    assert "Запросы после 21.11.2026 01:30 ещё не посчитаны." in shown(page(client, home))


def test_names_are_no_markup(client, home):
    key, _ = make_key(home, "<img src=x>", created_by=make_user("i@home.example", name="<img src=y>"))
    ask(home, key=key, model="<script>alert(1)</script>")
    sum_up()

    for said in ({}, {"split": "key"}, {"split": "member"}):
        text = shown(page(client, home, **said))
        assert "<script>alert" not in text
        assert "<img" not in text


def test_queries_do_not_grow_with_rows(client, home, django_assert_max_num_queries):
    for number in range(10):
        key, _ = make_key(home, f"ключ {number}")
        ask(home, key=key, model=f"family/model-{number}")
    sum_up()

    for name in ("usage", "usage-generations"):
        with django_assert_max_num_queries(15):
            page(client, home, name)


# --- CSV ----------------------------------------------------------------------------------------------


def test_what_is_shown_can_be_taken_away(client, home):
    key, _ = make_key(home, "=1+1")
    ask(home, key=key)
    ask(home, key=key, refunded=5)
    ask(home, model="yandexgpt/pro")
    sum_up()

    text = b"".join(page(client, home, "usage-export", model="gigachat/pro")).decode("utf-8-sig")

    head, row = csv.reader(StringIO(text), delimiter=";")
    assert len(head) == len(row) == 13
    assert row[:4] == ["21.11.2026", "gigachat/pro", f"'=1+1 ({key.prefix}…)", "2"]
    assert row[-2:] == ["3", "0,000005"]


def test_a_period_that_is_none_is_not_taken_away(client, home):
    answer = client.get(reverse("usage-export", args=[home.pk]), {"since": "вчера"})

    assert answer["location"].startswith(reverse("usage", args=[home.pk]))


# --- Generations ------------------------------------------------------------------------------------------


def test_the_list_leaves_what_filters_say(client, home):
    key, _ = make_key(home)
    ask(home, NIGHT - timedelta(days=30))
    first = ask(home, key=key)
    second = ask(home, NIGHT + timedelta(hours=1), model="", model_requested="m", status="failed")

    def found(**said: str) -> list:
        return [each.pk for each in page(client, home, "usage-generations", **said).context["generations"]]

    assert found() == [second.pk, first.pk]
    assert found(key=str(key.pk)) == found(status="ok") == found(model="gigachat/pro") == [first.pk]
    assert found(model="m") == [second.pk]


def test_the_pages_of_the_list_show_each_once_and_keep_the_filters(client, home):
    made = {
        ask(home, NIGHT + timedelta(seconds=number // 2)).pk for number in range(GENERATIONS_PER_PAGE + 3)
    }
    ask(home, status="failed")

    one = page(client, home, "usage-generations", status="ok")
    rest = page(client, home, "usage-generations", status="ok", before=str(one.context["generations"][-1].pk))

    assert "status=ok&amp;before=" in shown(one)
    listed = [each.pk for answer in (one, rest) for each in answer.context["generations"]]
    assert len(listed) == len(made)
    assert set(listed) == made
    assert (one.context["has_more"], rest.context["has_more"]) == (True, False)


@pytest.mark.parametrize("before", ["nonsense", "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_a_place_that_is_none_is_not_found(client, home, before):
    address = reverse("usage-generations", args=[home.pk])

    assert client.get(address, {**DAYS, "before": before}).status_code == 404


# --- For all of it -----------------------------------------------------------------------------------

NAMES = ["usage", "usage-export", "usage-generations"]


@pytest.mark.parametrize("name", NAMES)
def test_who_does_not_belong_to_the_client_finds_nothing(client, name):
    owner = romashka()
    for person in (eve(), make_user(is_staff=True, is_superuser=True)):
        client.force_login(person)
        assert client.get(reverse(name, args=[owner.pk]), DAYS).status_code == 404


def test_of_others_neither_keys_nor_generations_are_reached_from_ones_own_page(client):
    stranger = make_client()
    key, _ = make_key(stranger)
    place = ask(stranger, key=key)
    sum_up()
    client.force_login(alice())
    home = romashka()

    assert "totals" not in page(client, home, key=str(key.pk)).context
    address = reverse("usage-generations", args=[home.pk])
    assert client.get(address, {**DAYS, "before": str(place.pk)}).status_code == 404
    assert page(client, home, "usage-generations").context["generations"] == []


# --- Drawing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (7, 10), (10, 10), (11, 20), (50_001, 100_000)]
)
def test_a_chart_ends_at_a_round_number(highest, top):
    assert ceiling(highest) == top


def test_columns_stand_on_each_other():
    chart = stacked([[5, 0], [3, 10]])

    assert [(block.number, float(block.height)) for block in chart.blocks] == [
        (0, HEIGHT * 0.5),
        (1, HEIGHT * 0.3),
        (1, HEIGHT),
    ]
    assert [float(block.y) for block in chart.blocks] == [HEIGHT * 0.5, HEIGHT * 0.2, 0]
    assert len({block.x for block in chart.blocks}) == 2
