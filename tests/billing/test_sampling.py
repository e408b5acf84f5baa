"""Medians of sampling parameters: of whom, of when, and how many it takes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing.models import Generation, SamplingMedian
from billing.sampling import CLIENTS, REQUESTS, work_out_medians
from billing.tasks import work_out_medians as task
from tests.builders import make_client, make_generation
from tests.database import own_connection

pytestmark = pytest.mark.django_db

EACH = REQUESTS // CLIENTS


def ask(*temperatures: float, each: int = EACH, **fields: Any) -> None:
    """A new client for each of the temperatures, who asks so many times."""
    for temperature in temperatures:
        owner = make_client()
        for _ in range(each):
            make_generation(owner, **{"temperature": temperature, **fields})


def medians() -> dict[tuple[str, str], float]:
    work_out_medians()
    return {(each.model, each.parameter): each.value for each in SamplingMedian.objects.fresh()}


def test_the_middle_of_what_clients_ask_is_told():
    ask(0.1, 0.2, 0.3, 0.9, 1.9)

    assert medians() == {("gigachat/pro", "temperature"): 0.3}
    found = SamplingMedian.objects.get()
    assert (found.requests, found.clients) == (50, 5)


def test_each_parameter_of_each_model_has_its_own():
    ask(0.1, 0.2, 0.3, 0.4, 0.5, top_p=0.7, repetition_penalty=1.1)
    ask(1, 1, 1, 1, 1, model="yandexgpt/pro")

    assert medians() == {
        ("gigachat/pro", "temperature"): 0.3,
        ("gigachat/pro", "top_p"): 0.7,
        ("gigachat/pro", "repetition_penalty"): 1.1,
        ("yandexgpt/pro", "temperature"): 1.0,
    }


def test_whoever_asks_most_has_one_voice_like_others():
    ask(0.1, 0.2, 0.3, 0.4)
    ask(2, each=1000)

    assert medians() == {("gigachat/pro", "temperature"): 0.3}


@pytest.mark.parametrize(
    ("clients", "each"), [(4, 100), (5, 9), (49, 1)], ids=["few clients", "few requests", "one too few"]
)
def test_where_few_have_asked_nothing_is_told(clients, each):
    ask(*[0.5] * clients, each=each)

    assert medians() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"is_test": True},
        {"created_at": timezone.now() - timedelta(days=7, minutes=1)},
        {"model": ""},
        {"temperature": None},
        {"temperature": None, "top_p": None, "route": {"needs": {}}},
    ],
    ids=["test keys", "old", "nobody answered", "nothing said", "nothing said of anything"],
)
def test_what_does_not_count(fields):
    ask(0.1, 0.2, 0.3, 0.4)
    ask(0.5, each=100, **fields)

    assert medians() == {}


def test_what_is_not_enough_any_more_is_forgotten():
    ask(0.1, 0.2, 0.3, 0.4, 0.5)
    assert medians()

    Generation.objects.update(created_at=timezone.now() - timedelta(days=8))

    assert medians() == {}
    assert not SamplingMedian.objects.exists()


def test_they_follow_what_is_asked():
    ask(0.1, 0.2, 0.3, 0.4, 0.5)
    medians()

    ask(0.9, 0.9, 0.9, 0.9, 0.9, 0.9)

    assert medians() == {("gigachat/pro", "temperature"): 0.9}


def test_two_digits_are_told():
    ask(0.123456, 0.123456, 0.123456, 0.123456, 0.123456)

    assert medians() == {("gigachat/pro", "temperature"): 0.12}


def test_old_medians_are_not_fresh():
    ask(0.1, 0.2, 0.3, 0.4, 0.5)
    medians()

    SamplingMedian.objects.update(worked_out_at=timezone.now() - timedelta(days=1, minutes=1))

    assert not SamplingMedian.objects.fresh().exists()


def test_only_the_index_is_read():
    from billing.sampling import DAYS, WORK_OUT

    ask(0.1, 0.2, 0.3, 0.4, 0.5)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        wanted = {"moment": timezone.now(), "days": DAYS, "requests": REQUESTS, "clients": CLIENTS}
        cursor.execute(f"EXPLAIN {WORK_OUT}", wanted)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Only Scan using generation_sampling" in plan


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_is_once():
    ask(0.1, 0.2, 0.3, 0.4, 0.5)

    @own_connection()
    def run(_: int) -> None:
        task()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))

    assert [each.value for each in SamplingMedian.objects.all()] == [0.3]
