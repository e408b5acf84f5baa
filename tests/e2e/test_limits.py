"""Limits of rate over real processes: who is refused, what he is told, when he may come again."""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import openai
import pytest
from openai import OpenAI

from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.talk import Heard, Line, ask, at_once, call, chat

MODEL = "slow/openai"
SLOW = chat("slow/openai", "[[ttft_ms=1500]]Подумай")
LATE = chat("slow/openai", "[[ttft_ms=30000]]Подумай", stream=True)
# As the plan has it, not as tests like it.
BY_PLAN = {"requests_per_second": None, "concurrent_requests": None}
SOON = 1.0
MOSCOW = ZoneInfo("Europe/Moscow")
RATES = {
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
}


def question(server: Server, key: str, text: str = "Привет", **fields: Any) -> Heard:
    return ask(server, key, chat(MODEL, text, **fields))


def to_midnight() -> float:
    """Seconds until the next day in Moscow."""
    now = datetime.now(MOSCOW)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - now).total_seconds()


# --- What a plan allows --------------------------------------------------------------------------------


def test_the_free_plan_allows_twenty_a_minute(installation: Installation, express: Server):
    client = new_client(installation, plan="free", **BY_PLAN)
    began = time.time()

    heard = [question(express, client.key) for _ in range(20)]
    refused = question(express, client.key)

    wait = began + 60 - time.time()
    assert [one.status for one in heard] == [200] * 20
    assert [int(one.headers["x-ratelimit-remaining"]) for one in heard] == list(range(19, -1, -1))
    assert {one.headers["x-ratelimit-limit"] for one in heard} == {"20"}
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.headers["x-should-retry"] == "true"
    assert int(refused.headers["retry-after"]) == pytest.approx(wait, abs=2)
    assert int(refused.headers["x-ratelimit-reset"]) == pytest.approx(began + 60, abs=2)
    assert refused.headers["x-ratelimit-remaining"] == "0"


def test_the_days_quota_ends_at_midnight_in_moscow(installation: Installation, express: Server):
    client = new_client(installation, plan="free", **BY_PLAN, requests_per_day=3)

    served = [question(express, client.key).status for _ in range(3)]
    refused = question(express, client.key)

    assert served == [200] * 3
    assert (refused.status, refused.code) == (429, "daily_quota_reached")
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) == pytest.approx(to_midnight(), abs=3)
    assert int(refused.headers["x-ratelimit-reset"]) == pytest.approx(time.time() + to_midnight(), abs=3)


@pytest.mark.parametrize(("plan", "at_a_time"), [("free", 5), ("paid", 20)])
def test_a_plan_allows_so_many_answers_at_a_time(
    installation: Installation, workers: Server, plan: str, at_a_time: int
):
    client = new_client(installation, plan=plan, **BY_PLAN)

    statuses = at_once(at_a_time + 10, lambda _: ask(workers, client.key, SLOW).status)

    assert Counter(statuses) == {200: at_a_time, 429: 10}
    assert wait_until(lambda: not client.slots(), SOON)


def test_a_paying_clients_rate_grows_with_its_balance(installation: Installation, express: Server):
    poor = new_client(installation, 3_999_999, **BY_PLAN)
    rich = new_client(installation, 700_000_000, **BY_PLAN)

    def limit(client: Client) -> str:
        question(express, client.key, max_tokens=5)  # the balance is learnt by asking
        return question(express, client.key, max_tokens=5).headers["x-ratelimit-limit"]

    assert (limit(poor), limit(rich)) == ("3", "500")


# --- Limits of clients and keys, over two processes ----------------------------------------------------

N = 10


def test_both_processes_are_at_work(installation: Installation, workers: Server):
    """What the tests below rely on."""
    client = new_client(installation)

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, workers, client.key, SLOW) for _ in range(20)]
        tellers = wait_until(lambda: len({hold["shift_id"] for hold in client.holds()}) == 2)

    assert {one.result().status for one in asked} == {200}
    assert tellers


@pytest.mark.parametrize("name", ["requests_per_minute", "requests_per_day", "concurrent_requests"])
@pytest.mark.parametrize("whose", ["client", "key"])
def test_of_three_times_as_many_at_once_exactly_so_many_get_in(
    installation: Installation, workers: Server, name: str, whose: str
):
    client = new_client(installation, **({name: N} if whose == "client" else {}))
    key = client.issue_key(**({name: N} if whose == "key" else {}))
    body = SLOW if name == "concurrent_requests" else chat(MODEL, "Привет")

    heard = at_once(3 * N, lambda _: ask(workers, key, body))

    assert Counter(one.status for one in heard) == {200: N, 429: 2 * N}
    assert {one.code for one in heard if one.error} <= {"rate_limit_exceeded", "daily_quota_reached"}


def test_a_keys_limit_is_no_other_keys(installation: Installation, express: Server):
    client = new_client(installation)
    limited = client.issue_key(requests_per_minute=2)

    statuses = [question(express, limited).status for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert question(express, client.key).status == 200
    assert question(express, limited).error["message"].startswith("Превышен лимит этого API-ключа")


def test_a_second_later_there_is_room_again(installation: Installation, express: Server):
    client = new_client(installation, requests_per_second=2)

    statuses = Counter(at_once(6, lambda _: question(express, client.key).status))
    came_again = wait_until(lambda: question(express, client.key).status == 200, 1.5, pause=0.1)

    assert statuses[429] >= 2
    assert came_again


def test_tokens_are_counted_as_guessed_and_then_as_they_were(installation: Installation, express: Server):
    client = new_client(installation, tokens_per_minute=1_000)

    first = question(express, client.key, "[[tokens=400]]Рассказывай", max_tokens=400)
    wait_until(lambda: not client.slots())
    second = question(express, client.key, "[[tokens=580]]Рассказывай", max_tokens=580)
    wait_until(lambda: not client.slots())
    third = question(express, client.key, "Рассказывай")

    used = [one.usage["total_tokens"] for one in (first, second)]
    guessed = 1_000 - int(first.headers["x-ratelimit-remaining-tokens"])
    assert (first.status, second.status, third.status) == (200, 200, 429)
    assert 0 < guessed < 40
    assert int(second.headers["x-ratelimit-remaining-tokens"]) == 1_000 - used[0] - guessed
    assert int(third.headers["x-ratelimit-remaining-tokens"]) == max(0, 1_000 - sum(used))
    assert third.headers["x-ratelimit-limit-tokens"] == "1000"


def test_a_request_refused_for_one_limit_does_not_count_in_another(
    installation: Installation, express: Server
):
    client = new_client(installation, requests_per_minute=30, concurrent_requests=1)

    statuses = Counter(at_once(10, lambda _: ask(express, client.key, SLOW).status))
    wait_until(lambda: not client.slots())

    assert statuses == {200: 1, 429: 9}
    assert question(express, client.key).headers["x-ratelimit-remaining"] == "28"


# --- What is given back --------------------------------------------------------------------------------


async def test_whoever_leaves_makes_room_at_once(installation: Installation, workers: Server):
    client = new_client(
        installation, plan="free", **BY_PLAN, requests_per_minute=1_000, requests_per_day=1_000
    )
    lines = await asyncio.gather(*(call(workers, client.key, LATE) for _ in range(5)))
    assert await asyncio.to_thread(wait_until, lambda: client.slots() == 5)
    assert (await asyncio.to_thread(ask, workers, client.key, SLOW)).status == 429

    for line in lines:
        await line.leave()

    assert await asyncio.to_thread(wait_until, lambda: client.slots() == 0, SOON)
    assert (await asyncio.to_thread(question, workers, client.key)).status == 200


async def test_a_limit_of_one_holds_through_hundreds_who_leave(installation: Installation, workers: Server):
    client = new_client(installation, concurrent_requests=1)

    async def come_and_go(_: int) -> Line:
        line = await call(workers, client.key, LATE)
        await asyncio.sleep(0.02)
        await line.leave()
        return line

    for batch in range(10):
        await asyncio.gather(*(come_and_go(batch) for _ in range(30)))

    # The last of them may come to their turn after they have left.
    assert await asyncio.to_thread(wait_until, lambda: question(workers, client.key).status == 200, SOON)
    assert await asyncio.to_thread(wait_until, lambda: client.slots() == 0, SOON)


def test_a_provider_that_is_late_keeps_no_slot(installation: Installation, workers: Server):
    client = new_client(installation, concurrent_requests=20)

    late = chat("solo/openai", "[[fault=slow_first.ms=9000]]")

    statuses = at_once(20, lambda _: ask(workers, client.key, late).status)

    assert set(statuses) == {504}
    assert wait_until(lambda: client.slots() == 0, SOON)


# --- What is told ---------------------------------------------------------------------------------------


def refusal_for_money(installation: Installation, door: Server) -> Heard:
    return question(door, new_client(installation, 0, requests_per_minute=10).key)


def refusal_of_the_key(installation: Installation, door: Server) -> Heard:
    client = new_client(installation)
    return question(door, client.issue_key(cap=0, requests_per_minute=10))


def fault(text: str, **fields: Any) -> Any:
    return lambda installation, door: question(
        door, new_client(installation, requests_per_minute=10).key, text, **fields
    )


ANSWERS = {
    "whole": (200, fault("Привет")),
    "streamed": (200, fault("Привет", stream=True)),
    "no money": (402, refusal_for_money),
    "a capped key": (402, refusal_of_the_key),
    "a broken provider": (502, fault("[[fault=http_503]]")),
    "a busy provider": (429, fault("[[fault=http_429]]")),
    "a request the provider rejects": (400, fault("[[fault=http_400]]", stream=True)),
}


@pytest.mark.parametrize(("status", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_tells_the_limits(installation: Installation, door: Server, status: int, answer: Any):
    heard = answer(installation, door)

    assert heard.status == status
    assert {name.lower() for name in heard.headers} >= RATES
    assert (heard.headers["x-ratelimit-limit"], heard.headers["x-ratelimit-remaining"]) == ("10", "9")


def test_a_change_is_in_force_within_a_second(installation: Installation, workers: Server):
    client = new_client(installation)
    for _ in range(10):
        question(workers, client.key)  # both processes know the client

    client.change(requests_per_minute=12)
    assert wait_until(lambda: question(workers, client.key).headers["x-ratelimit-limit"] == "12", SOON)
    assert wait_until(lambda: question(workers, client.key).status == 429)
    client.change(requests_per_minute=1_000)

    assert wait_until(lambda: question(workers, client.key).status == 200, SOON)


# --- Through the official SDK ---------------------------------------------------------------------------


class Counted(OpenAI):
    """The SDK, which counts what it sends."""

    def __init__(self, server: Server, key: str, **options: Any) -> None:
        self.sent = 0
        transport = openai.DefaultHttpxClient(event_hooks={"request": [self._count]})
        super().__init__(base_url=server.base_url, api_key=key, http_client=transport, timeout=30, **options)

    def _count(self, _: Any) -> None:
        self.sent += 1

    def say(self, **fields: Any) -> Any:
        said: Any = [{"role": "user", "content": "Привет"}]
        return self.chat.completions.create(model=MODEL, messages=said, **fields)


def test_the_sdk_reads_the_cost(installation: Installation, door: Server):
    with Counted(door, new_client(installation).key) as sdk:
        completion = sdk.say()
        chunks = list(sdk.say(stream=True, stream_options={"include_usage": True}))

    assert completion.usage.cost > 0
    assert completion.usage.cost_details["currency"] == "RUB"
    assert chunks[-1].usage.cost == completion.usage.cost


def test_the_sdk_raises_for_limits(installation: Installation, door: Server):
    client = new_client(installation, requests_per_minute=1)
    with Counted(door, client.key, max_retries=0) as sdk:
        sdk.say()

        with pytest.raises(openai.RateLimitError) as caught:
            sdk.say()

    assert caught.value.type == "rate_limit_error"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60


def test_the_sdk_raises_for_money_and_does_not_try_again(installation: Installation, door: Server):
    with Counted(door, new_client(installation, 0).key, max_retries=2) as sdk:
        with pytest.raises(openai.APIStatusError) as caught:
            sdk.say()

        assert (caught.value.status_code, sdk.sent) == (402, 1)
    assert json.loads(caught.value.response.content)["error"]["type"] == "insufficient_quota"


def test_the_sdk_does_not_try_again_today_what_the_day_forbids(installation: Installation, door: Server):
    client = new_client(installation, requests_per_day=1)
    with Counted(door, client.key, max_retries=2) as sdk:
        sdk.say()
        sdk.sent = 0

        with pytest.raises(openai.RateLimitError):
            sdk.say()

        assert sdk.sent == 1


def test_the_sdk_waits_as_it_is_told(installation: Installation, door: Server):
    client = new_client(installation, requests_per_second=1)
    with Counted(door, client.key, max_retries=2) as sdk:
        answers = at_once(2, lambda _: sdk.say())

    assert [answer.choices[0].finish_reason for answer in answers] == ["stop", "stop"]
