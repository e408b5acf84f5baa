"""Whether the one who judges would notice: each wrong is made up, and must be named."""

from typing import Any

import pytest

from tests.chaos.blows import Blow, Blows
from tests.chaos.customers import Order, Story
from tests.chaos.reckoning import Reckoning, reckoned

AT = 1000.0  # when the customer's request ended


def story(**changes: Any) -> Story:
    order = Order("tag", "xr-key", "m", "patient", {}, None, 90)
    seen: dict[str, Any] = {"status": 200, "text": 40, "is_whole": True, "told": 30, **changes}
    return Story(order, AT - 1, AT, **seen)


def row(**changes: Any) -> dict[str, Any]:
    tokens = {"tokens_prompt": 10, "tokens_completion": 20, "tokens_cached": 0, "tokens_reasoning": 0}
    price = {"prompt": 1_000_000, "completion": 1_000_000}
    money = {"cost": 30, "held": 50, "charges": 1, "charged": 30, "usage_source": "provider"}
    return {
        "client_request_id": "tag",
        "model": "m",
        "status": "ok",
        "price": price,
        **tokens,
        **money,
    } | changes


def entry(**changes: Any) -> dict[str, Any]:
    sent = {"prompt_tokens": 10, "completion_tokens_sent": 20, "t_first": AT - 0.5}
    return {"tag": "tag", "outcome": "served", **sent, **changes}


def judged(
    story: Story, rows: list[dict[str, Any]], entries: list[dict[str, Any]], *struck: str
) -> Reckoning:
    blows = Blows(None, {}, 1, [Blow(target, AT, AT) for target in struck])  # type: ignore[arg-type]
    return reckoned([story], rows, entries, blows)


BROKEN = {"text": 0, "is_whole": False, "told": None, "status": 0}
FREE = {"cost": 0, "charges": 0, "charged": 0}


@pytest.mark.parametrize(
    ("what", "seen", "rows", "entries"),
    [
        ("an error 500", story(status=500, is_whole=False, text=0, told=None), [], []),
        ("refused, and yet a provider was asked", story(**BROKEN, error="unavailable"), [], [entry()]),
        ("charged twice", story(), [row(), row()], [entry()]),
        ("the charge is not the record's", story(), [row(charged=29)], [entry()]),
        ("the charge is not the record's", story(), [row(charges=2, charged=60)], [entry()]),
        ("the cost is not price by tokens", story(told=None), [row(cost=31, charged=31)], [entry()]),
        ("charged more than the answer said", story(told=29), [row()], [entry()]),
        ("charged without an answer", story(), [row()], []),
        ("charged without an answer", story(), [row()], [entry(completion_tokens_sent=0)]),
        ("charged more prompt than the provider counted", story(), [row()], [entry(prompt_tokens=9)]),
        ("charged more answer than the provider sent", story(), [row()], [entry(completion_tokens_sent=19)]),
        ("charged for nothing", story(**BROKEN), [row()], [entry()]),
        (
            "charged though he had left before the answer began",
            story(**BROKEN, has_left=True),
            [row()],
            [entry(t_first=AT + 2)],
        ),
        ("a whole answer is free though the database was there", story(), [row(**FREE)], [entry()]),
        ("a charge that belongs to no customer's request", story(), [row(client_request_id="x")], []),
    ],
)
def test_a_wrong_is_named(what: str, seen: Story, rows: list[dict[str, Any]], entries: list[dict[str, Any]]):
    assert what in judged(seen, rows, entries).wrong


def test_nothing_is_wrong_with_an_answer_that_was_charged():
    assert judged(story(), [row()], [entry()]).wrong == {}


def test_an_answer_may_be_free_where_the_database_was_away_and_is_counted_as_lost():
    told = judged(story(), [row(**FREE), row(client_request_id="", model="m")], [entry()], "postgres")

    assert "a whole answer is free though the database was there" not in told.wrong
    assert told.lost == 30


def test_a_charge_may_have_brought_nothing_where_the_worker_was_killed_and_is_counted():
    told = judged(story(**BROKEN), [row()], [entry()], "web")

    assert (told.wrong, told.unseen) == ({}, 30)
