"""Whom a request is sent to when providers fail, are full or ask for a pause; over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from monitoring.health import Outcome
from monitoring.tally import Tally
from monitoring.vitals import UNKNOWN, Circuit
from providers.errors import Busy, ContextTooLong, DeadCredential
from providers.upstreams import Login, Timeouts
from routing import search
from routing.errors import NobodyAnswered, NoRoute
from routing.route import Route
from tests.gateways import ANSWER, House, Script, card, login, route, saying
from tests.servers import Line, Vendor, reply

BROKEN = saying(reply({}, 503))
WELL = saying(reply(ANSWER))
UNHURRIED = Timeouts(connect=1, first_byte=10, first_token=10, between_tokens=10, total=20)
TOO_LONG = saying(reply({"error": {"message": "x", "code": "context_length_exceeded"}}, 400))


@pytest.fixture
async def two() -> AsyncIterator[tuple[Vendor, Vendor]]:
    async with Vendor(WELL) as first, Vendor(WELL) as second:
        yield first, second


def endpoint(vendor: Vendor, slug: str, *, priority: int = 0, **facts: Any) -> Route:
    logins = facts.pop("logins", None)
    where: dict[str, Any] = {"timeouts": UNHURRIED, **({"logins": logins} if logins else {})}
    return replace(route(vendor.url, slug, priority=priority, **where), **facts)


def both(two: tuple[Vendor, Vendor], **facts: Any) -> House:
    """A model at the first vendor and, where that fails, at the second."""
    return House(card(endpoint(two[0], "a", **facts), endpoint(two[1], "b", priority=1)))


async def outcomes(house: House, count: int) -> list[str]:
    """Who answers ``count`` requests, one after the other; the kind of error where nobody does."""
    found = []
    for _ in range(count):
        try:
            found.append((await house.complete())["provider"])
        except (NobodyAnswered, NoRoute) as exc:
            found.append(type(exc).__name__)
    return found


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event for what others count
            await asyncio.sleep(0.01)


def held(gate: asyncio.Event) -> Script:
    """Answers when ``gate`` opens."""

    async def script(line: Line) -> None:
        while True:
            await line.asked()
            await gate.wait()
            await line.say(reply(ANSWER))

    return script


# The breaker ----------------------------------------------------------------------------------------


async def test_who_fails_five_times_is_let_alone(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = BROKEN
    async with both(two) as house:
        assert await outcomes(house, 20) == ["b"] * 20

    assert len(two[0].requests) <= 5
    assert len(two[1].requests) == 20


async def test_where_all_are_broken_nobody_is_asked_and_the_wait_is_told(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = BROKEN
    async with House(card(endpoint(two[0], "a"))) as house:
        assert set(await outcomes(house, 5)) == {"NobodyAnswered"}
        asked = len(two[0].requests)
        with pytest.raises(NoRoute) as refused:
            await house.complete()

    assert refused.value.retry_after == 1
    assert len(two[0].requests) == asked


async def test_a_trial_finds_out_that_a_provider_is_well_again(two: tuple[Vendor, Vendor]) -> None:
    is_well = False

    async def script(line: Line) -> None:
        while True:
            await line.asked()
            await line.say(reply(ANSWER) if is_well else reply({}, 503))

    two[0].script = script
    async with House(card(endpoint(two[0], "a"))) as house:
        await outcomes(house, 6)
        is_well = True
        async with asyncio.timeout(10):
            while await outcomes(house, 1) != ["a"]:  # noqa: ASYNC110 - it is asking that brings it about
                await asyncio.sleep(0.05)

        assert await outcomes(house, 3) == ["a"] * 3


async def test_the_health_of_who_is_said_to_be_well_stops_nobody(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = BROKEN
    async with House(card(endpoint(two[0], "a", circuit="closed"))) as house:
        await outcomes(house, 10)

    assert len(two[0].requests) == 10


async def test_customers_who_are_at_fault_break_no_circuit(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = saying(reply({"error": {"message": "x"}}, 400))
    async with House(card(endpoint(two[0], "a"))) as house:
        for _ in range(20):
            with pytest.raises(Exception, match=r"x|отклонил"):
                await house.complete()

    assert len(two[0].requests) == 20


async def test_connections_that_were_closed_meanwhile_are_no_failures(two: tuple[Vendor, Vendor]) -> None:
    async def closing(line: Line) -> None:
        await line.asked()
        await line.say(reply(ANSWER))
        await line.asked()
        line.reset()

    two[0].script = closing
    async with House(card(endpoint(two[0], "a"))) as house:
        assert await outcomes(house, 8) == ["a"] * 8

        vitals = house.health.vitals().get(0, UNKNOWN)

    kinds = [attempt["outcome"] for record in house.book.records for attempt in record.attempts]
    assert kinds.count("Stale") == 4
    assert (vitals.circuit, vitals.failures) == (Circuit.CLOSED, 0)


async def test_a_trial_is_kept_for_who_may_still_ask(two: tuple[Vendor, Vendor]) -> None:
    """The first three endpoints use all attempts up, so that the fourth, half open, is not asked."""
    two[0].script = BROKEN
    routes = [endpoint(two[0], f"v{n}", priority=n, circuit="closed") for n in range(3)]
    last = endpoint(two[1], "b", priority=3)
    async with House(card(*routes, last), card(last, name="alone")) as house:
        for _ in range(5):
            house.health.record(Outcome(last.endpoint_id, "Broken"))
        async with asyncio.timeout(5):
            while house.health.vitals()[last.endpoint_id].circuit is not Circuit.HALF_OPEN:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await outcomes(house, 1) == ["NobodyAnswered"]

        assert (await house.complete(model="alone"))["provider"] == "b"


async def test_who_is_said_to_be_well_by_a_probe_is_tried_before_the_others(
    two: tuple[Vendor, Vendor],
) -> None:
    two[0].script = BROKEN
    async with both(two) as house:
        for _ in range(5):
            house.health.record(Outcome(0, "Broken"))
        assert await outcomes(house, 5) == ["b"] * 5
        assert two[0].requests == []
        for turn in range(2):  # of which the probe knew more than was true
            probe = Tally()
            probe.count(Outcome(0), house.health._clock())
            house.health._chart(0).add(probe, house.health._clock(), is_probe=True)
            house.health._renew_all()

            assert await outcomes(house, 5) == ["b"] * 5
            assert len(two[0].requests) == turn + 1


# Repeats --------------------------------------------------------------------------------------------


def stale_then(*answers: bytes) -> Script:
    """Answers once, resets that connection when it is used again, and says ``answers`` one by one."""
    left = list(answers)

    async def script(line: Line) -> None:
        await line.asked()
        if line.number > 1:
            await line.say(left.pop(0))
            return
        await line.say(reply(ANSWER))
        await line.asked()
        line.reset()

    return script


async def test_the_last_attempt_is_not_for_a_repeat_where_another_may_be_asked(
    two: tuple[Vendor, Vendor],
) -> None:
    two[0].script = stale_then(reply({}, 409), reply(ANSWER))
    async with both(two) as house:
        assert await outcomes(house, 2) == ["a", "b"]

    assert [each["outcome"] for each in house.book.records[1].attempts] == ["Stale", "Conflict", "ok"]


@pytest.mark.parametrize("other", ["none", "down", "paused"])
async def test_the_last_attempt_is_for_a_repeat_where_nobody_else_may_be_asked(
    two: tuple[Vendor, Vendor], other: str
) -> None:
    two[0].script = stale_then(reply({}, 409), reply(ANSWER))
    routes = [endpoint(two[0], "a", circuit="closed"), endpoint(two[1], "b", priority=1)]
    async with House(card(*routes[: 1 if other == "none" else 2])) as house:
        if other == "down":
            for _ in range(5):
                house.health.record(Outcome(routes[1].endpoint_id, "Broken"))
        if other == "paused":
            house.slots.pause(routes[1].upstream.logins[0], 60, DeadCredential())

        assert await outcomes(house, 2) == ["a", "a"]


# Credentials ----------------------------------------------------------------------------------------


def two_logins(slots: int = 1000) -> tuple[Login, ...]:
    return tuple(replace(login(number), slots=slots) for number in (11, 12))


def keys(vendor: Vendor) -> list[str]:
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in vendor.requests]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refused_credential_is_let_alone_and_the_next_one_used(
    two: tuple[Vendor, Vendor], status: int
) -> None:
    async def script(line: Line) -> None:
        while True:
            asked = await line.asked()
            bad = asked.headers["authorization"].endswith("key-11")
            await line.say(reply({}, status) if bad else reply(ANSWER))

    two[0].script = script
    async with House(card(endpoint(two[0], "a", logins=two_logins()))) as house:
        assert await outcomes(house, 5) == ["a"] * 5

        assert keys(two[0]) == ["key-11", *["key-12"] * 5]
        house.slots.resume()  # the operator has changed something
        await house.complete()

    assert keys(two[0])[-2:] == ["key-11", "key-12"]


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [(401, {}, DeadCredential), (429, {"Retry_After": "30"}, Busy)],
)
async def test_where_all_are_let_alone_the_reason_is_told(
    two: tuple[Vendor, Vendor], status: int, headers: dict[str, str], kind: type[Exception]
) -> None:
    two[0].script = saying(reply({}, status, **headers))
    async with House(card(endpoint(two[0], "a"))) as house:
        for _ in range(3):
            with pytest.raises(NobodyAnswered) as told:
                await house.complete()

    assert type(told.value.failure) is kind
    assert len(two[0].requests) == 1
    if kind is Busy:
        assert 29 < told.value.failure.retry_after <= 30


async def test_who_is_busy_for_a_moment_is_asked_once_more(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply({}, 429, Retry_After="1"))
        await line.asked()
        await line.say(reply(ANSWER))

    two[0].script = script
    async with House(card(endpoint(two[0], "a"))) as house:
        assert (await house.complete())["provider"] == "a"

    assert [each["outcome"] for each in house.book.records[0].attempts] == ["Busy", "ok"]


# Slots ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_provider_generates_no_more_at_a_time_than_it_has_slots(
    two: tuple[Vendor, Vendor], leaves: bool
) -> None:
    gate = asyncio.Event()
    two[0].script = held(gate)
    one = (replace(login(11), slots=1),)
    async with House(card(endpoint(two[0], "a", logins=one))) as house:
        waiting = [asyncio.create_task(house.complete()) for _ in range(4)]
        await until(lambda: house.slots.waiting == 3 and two[0].requests)
        assert len(two[0].requests) == 1
        if leaves:
            waiting.pop(0).cancel()
        gate.set()
        answers = await asyncio.gather(*waiting)

        assert [answer["provider"] for answer in answers] == ["a"] * len(waiting)
        assert house.slots.waiting == 0


async def test_where_one_is_full_another_one_is_asked(two: tuple[Vendor, Vendor]) -> None:
    gate = asyncio.Event()
    two[0].script = held(gate)
    async with both(two, logins=(replace(login(11), slots=1),)) as house:
        first = asyncio.create_task(house.complete())
        await until(lambda: two[0].requests)

        assert await outcomes(house, 3) == ["b"] * 3
        gate.set()
        assert (await first)["provider"] == "a"


async def test_a_credential_that_serves_two_models_is_waited_for_once(two: tuple[Vendor, Vendor]) -> None:
    gate = asyncio.Event()
    two[0].script = held(gate)
    one = (replace(login(11), slots=1),)
    first, second = endpoint(two[0], "a", logins=one), endpoint(two[0], "a", priority=1, logins=one)
    cards = card(first, name="m"), card(replace(second, model="n"), name="n")
    async with House(*cards) as house:
        running = asyncio.create_task(house.complete())
        await until(lambda: two[0].requests)
        waiting = asyncio.create_task(house.complete(models=["m", "n"]))
        await until(lambda: house.slots.waiting)
        gate.set()

        assert (await running)["model"] == (await waiting)["model"] == "m"


async def test_who_waits_in_vain_hears_how_long_it_may_take(
    two: tuple[Vendor, Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "QUEUE", 0.3)
    gate = asyncio.Event()
    two[0].script = held(gate)
    async with House(card(endpoint(two[0], "a", logins=(replace(login(11), slots=1),)))) as house:
        first = asyncio.create_task(house.complete())
        await until(lambda: two[0].requests)
        with pytest.raises(NobodyAnswered) as told:
            await house.complete()
        gate.set()
        await first

    assert isinstance(told.value.failure, Busy)
    assert told.value.failure.retry_after > 0
    assert len(two[0].requests) == 1


# What is too long -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("context", "provider"), [(64_000, "b"), (32_768, None)])
async def test_what_is_too_long_for_one_may_fit_a_larger_context(
    two: tuple[Vendor, Vendor], context: int, provider: str | None
) -> None:
    two[0].script = TOO_LONG
    wider = replace(route(two[1].url, "b", priority=1), context_length=context)
    async with House(card(endpoint(two[0], "a"), wider)) as house:
        if provider:
            assert (await house.complete())["provider"] == provider
        else:
            with pytest.raises(ContextTooLong):
                await house.complete()
            assert two[1].requests == []
