"""A full machine over a real process: who asks without a pause is asked to come later, the others are not."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.talk import Heard, ask, chat

MODEL = "slow/openai"
QUESTION = chat(MODEL, "Привет")
LINES = 16


@pytest.fixture(scope="module")
def full(installation: Installation) -> Server:
    """Any wait for a processor counts, so it is full as soon as it works."""
    return installation.start_as_in_production("full", XROUTER_FULL_AT="0")


class Flood:
    """One client's requests on several lines, without a pause, until it is stopped."""

    def __init__(self, server: Server, client: Client) -> None:
        self.heard: list[Heard] = []
        self._server, self._key = server, client.key
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(LINES)

    def __enter__(self) -> "Flood":
        for _ in range(LINES):
            self._pool.submit(self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._pool.shutdown()

    @property
    def refused(self) -> list[Heard]:
        return [one for one in list(self.heard) if one.status != 200]

    def _ask(self) -> None:
        while not self._is_over.is_set():
            self.heard.append(ask(self._server, self._key, QUESTION))


def beside(flood: Flood, key: str, is_enough: Callable[[], bool]) -> list[Heard]:
    """What another client hears until there was enough of the flood."""
    heard: list[Heard] = []

    def goes_on() -> bool:
        heard.append(ask(flood._server, key, QUESTION))
        return is_enough()

    wait_until(goes_on, 60, pause=0.02)
    return heard


def test_who_asks_far_more_often_is_told_to_come_later_and_others_are_served(
    installation: Installation, full: Server
):
    greedy, other = new_client(installation), new_client(installation)

    with Flood(full, greedy) as flood:
        others = beside(flood, other.key, lambda: len(flood.refused) >= 50)

    assert {one.status for one in others} == {200}
    assert {(one.status, one.code) for one in flood.refused} == {(429, "service_overloaded")}
    assert {one.headers["retry-after"] for one in flood.refused} == {"1"}
    assert {one.headers["x-should-retry"] for one in flood.refused} == {"true"}
    assert "перегружен" in flood.refused[0].error["message"]


def test_a_refusal_costs_nothing_and_an_sdk_gets_its_answer_all_the_same(
    installation: Installation, full: Server
):
    greedy, other = new_client(installation), new_client(installation)
    sdk = OpenAI(api_key=greedy.key, base_url=full.base_url, max_retries=10)

    with Flood(full, greedy) as flood:
        beside(flood, other.key, lambda: len(flood.refused) >= 50)
        answers = [sdk.chat.completions.create(**QUESTION)]
        with pytest.raises(openai.RateLimitError) as told:
            while True:
                answers.append(sdk.with_options(max_retries=0).chat.completions.create(**QUESTION))

    assert told.value.body["metadata"]["error_type"] == "service_overloaded"
    served = len(answers) + sum(one.status == 200 for one in flood.heard)
    assert wait_until(lambda: records(installation, greedy) == [{"status": "ok", "n": served}])


def records(installation: Installation, client: Client) -> list[dict[str, Any]]:
    asked = "SELECT status, count(*) AS n FROM billing_generation WHERE client_id = %s GROUP BY 1"
    return installation.query(asked, client.id)
