"""Figures of a load that was not there are not let pass for good ones."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.abuse.crowds import LIMITED, _expect_flood
from tests.abuse.doubts import DOUBTS
from tests.abuse.house import Pace, _named
from tests.abuse.mob import Orders, Told, mob
from tests.e2e.installation import free_port

SERVED = b'{"choices": [{"message": {"content": "1"}}]}'


@pytest.fixture
def doubts() -> Iterator[list[str]]:
    DOUBTS.clear()
    yield DOUBTS
    DOUBTS.clear()


@pytest.mark.parametrize("pace", [0, 100])
async def test_a_mob_that_nobody_answers_is_none(doubts: list[str], pace: int):
    async with mob(Orders(free_port(), ["GET / HTTP/1.1\r\n\r\n"], pace)) as told:
        pass

    assert told.answers == 0
    assert doubts == ["nothing was answered to the mob"]


@pytest.mark.parametrize(
    ("statuses", "is_limited", "is_one"),
    [
        ({"200": 40, LIMITED: 960}, True, True),
        ({"200": 1000}, False, True),
        ({"200": 500, "429 service_overloaded": 500}, False, True),
        ({"200": 1000}, True, False),
        ({"200": 40, LIMITED: 960}, False, False),
        ({"200": 100, LIMITED: 100}, True, False),
        ({"401 invalid_api_key": 1000}, False, False),
        ({LIMITED: 1000}, True, False),
    ],
)
def test_a_flood_is_one_that_comes_and_is_told_what_it_has_to_be(
    doubts: list[str], statuses: dict[str, int], is_limited: bool, is_one: bool
):
    _expect_flood(Told(Counter(statuses), seconds=2.0), is_limited=is_limited)

    assert (not doubts) == is_one


def test_of_few_requests_the_slowest_hundredth_is_not_told_without_a_word(doubts: list[str]):
    assert Pace(waits=[1.0] * 99).beside(Pace(waits=[1.0] * 100))

    assert doubts


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (200, SERVED, "200"),
        (200, b"", "200 without an answer"),
        (200, b"{}", "200 without an answer"),
        (0, b"", "0"),
        (503, b'{"error": {"code": 503, "metadata": {"error_type": "unavailable"}}}', "503 unavailable"),
    ],
)
def test_an_answer_is_more_than_its_status(status: int, body: bytes, name: str):
    assert _named(status, body) == name
