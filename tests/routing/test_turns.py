"""How three attempts are shared out among endpoints, credentials and repeats; over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from monitoring.health import Outcome
from monitoring.tally import Tally
from monitoring.vitals import Circuit
from providers.errors import Refused
from providers.upstreams import Login
from routing import search
from tests.gateways import ANSWER, NOBODY, WHOLE, House, Script, card, login, route, saying, silent
from tests.routing.test_attempts import endpoint, keys, outcomes, until
from tests.servers import Line, Vendor, reply

WELL = saying(reply(ANSWER))
UNREAD = saying(reply({}, 408))  # it may be sent again at once
REJECTED = saying(reply({"error": {"message": "x"}}, 400))
REFUSED = saying(reply({"error": {"message": "x", "code": "content_policy_violation"}}, 400))


@pytest.fixture
async def three() -> AsyncIterator[list[Vendor]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Vendor(WELL)) for _ in range(3)]


def logins(count: int) -> tuple[Login, ...]:
    return tuple(login(11 + n) for n in range(count))


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_the_credentials_of_one_endpoint_leave_an_attempt_for_the_next_one(
    three: list[Vendor], status: int
) -> None:
    three[0].script = saying(reply({}, status))
    routes = endpoint(three[0], "a", logins=logins(4)), endpoint(three[1], "b", priority=1)
    async with House(card(*routes)) as house:
        assert await outcomes(house, 4) == ["b"] * 4


async def test_where_nobody_else_is_left_all_attempts_are_for_the_credentials(three: list[Vendor]) -> None:
    three[0].script = saying(reply({}, 401))
    async with House(card(endpoint(three[0], "a", logins=logins(4)))) as house:
        assert await outcomes(house, 1) == ["NobodyAnswered"]

    assert keys(three[0]) == ["key-11", "key-12", "key-13"]


async def test_nobody_is_asked_again_before_all_have_been_asked(three: list[Vendor]) -> None:
    three[0].script = three[1].script = UNREAD
    routes = [
        endpoint(vendor, slug, priority=n) for n, (vendor, slug) in enumerate(zip(three, "abc", strict=True))
    ]
    async with House(card(*routes)) as house:
        assert await outcomes(house, 2) == ["c"] * 2

    assert [len(vendor.requests) for vendor in three] == [2, 2, 2]


async def test_no_attempt_is_kept_for_who_will_not_be_asked(three: list[Vendor]) -> None:
    three[0].script = UNREAD
    broken = [route(NOBODY, slug, priority=n) for n, slug in enumerate("bc", 1)]
    async with House(card(endpoint(three[0], "a", circuit="closed"), *broken)) as house:
        for each in broken:
            for _ in range(5):
                house.health.record(Outcome(each.endpoint_id, "Unreachable"))
        assert await outcomes(house, 1) == ["NobodyAnswered"]

    assert len(three[0].requests) == 2


# Silence --------------------------------------------------------------------------------------------


def streaming(is_silent: asyncio.Event) -> Script:
    """Answers in streams until it falls silent."""

    async def script(line: Line) -> None:
        while True:
            await line.asked()
            if is_silent.is_set():
                await line.until_left()
            await line.say(*WHOLE)

    return script


async def asked_first(house: House) -> str:
    """Who is asked first, whatever becomes of it."""
    events = house.gateway.stream(ticket := await house.admit(stream=True))
    request = asyncio.create_task(anext(events))
    await until(lambda: ticket.attempts)
    request.cancel()
    await asyncio.wait({request})
    return ticket.attempts[0]["provider"]


async def test_who_falls_silent_is_left_before_anybody_has_timed_out(
    three: list[Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "OVERDUE", 0.3)
    is_silent = asyncio.Event()
    three[0].script = streaming(is_silent)
    three[1].script = saying(*WHOLE)
    async with House(card(endpoint(three[0], "a"), endpoint(three[1], "b", priority=1))) as house:
        for _ in range(20):
            await house.stream()
        house.health._renew_all()
        is_silent.set()
        waiting = [asyncio.create_task(house.stream()) for _ in range(4)]
        await until(lambda: len(three[0].requests) == 24)
        assert await asked_first(house) == "a"
        await until(lambda: house.health.vitals()[0].late >= 3)

        assert await asked_first(house) == "b"
        assert not any(task.done() for task in waiting)
        assert house.health.vitals()[0].circuit is Circuit.CLOSED
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_who_was_never_quick_is_not_overdue(
    three: list[Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "OVERDUE", 0.05)
    three[0].script = silent
    async with House(card(endpoint(three[0], "a"))) as house:
        waiting = [asyncio.create_task(house.stream()) for _ in range(4)]
        await asyncio.sleep(0.3)

        assert house.health.vitals() == {}
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


# Other models ---------------------------------------------------------------------------------------


async def test_what_one_model_refuses_to_answer_the_next_one_asked_for_may(three: list[Vendor]) -> None:
    three[0].script = REFUSED
    again = endpoint(three[1], "b", priority=1)
    other = replace(endpoint(three[2], "c", priority=2), model="n")
    async with House(card(endpoint(three[0], "a"), again), card(other, name="n")) as house:
        assert (await house.complete(models=["n"]))["model"] == "n"
        with pytest.raises(Refused):
            await house.complete()

    assert three[1].requests == []


async def test_what_is_wrong_is_wrong_for_all_models(three: list[Vendor]) -> None:
    three[0].script = REJECTED
    other = replace(endpoint(three[1], "b", priority=1), model="n")
    async with House(card(endpoint(three[0], "a")), card(other, name="n")) as house:
        with pytest.raises(Exception, match="отклонил"):
            await house.complete(models=["n"])

    assert three[1].requests == []


# Trials ---------------------------------------------------------------------------------------------


def opened(house: House, number: int) -> None:
    for _ in range(5):
        house.health.record(Outcome(number, "Broken"))


def vouched(house: House, number: int) -> None:
    """A probe of the endpoint was answered."""
    probe = Tally()
    probe.count(Outcome(number), house.health._clock())
    house.health._chart(number).add(probe, house.health._clock(), is_probe=True)
    house.health._renew_all()


async def test_a_probe_does_not_bring_a_model_before_the_one_that_was_asked_for(three: list[Vendor]) -> None:
    other = replace(endpoint(three[1], "b", priority=1), model="n")
    async with House(card(endpoint(three[0], "a")), card(other, name="n")) as house:
        opened(house, 1)
        vouched(house, 1)

        assert (await house.complete(models=["n"]))["model"] == "m"


@pytest.mark.parametrize("wish", [{"order": ["a"]}, {"only": ["a"]}])
async def test_a_probe_does_not_bring_a_provider_before_the_one_wished_for(
    three: list[Vendor], wish: dict[str, list[str]]
) -> None:
    async with House(card(endpoint(three[0], "a", priority=1), endpoint(three[1], "b"))) as house:
        opened(house, 0)
        vouched(house, 0)

        assert (await house.complete(provider=wish))["provider"] == "a"


async def test_who_finds_fault_with_the_request_is_well(three: list[Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply({"error": {"message": "x"}}, 400))
        while True:
            await line.asked()
            await line.say(reply(ANSWER))

    three[0].script = script
    async with House(card(endpoint(three[0], "a"))) as house:
        opened(house, 0)
        vouched(house, 0)
        with pytest.raises(Exception, match="отклонил"):
            await house.complete()

        assert await outcomes(house, 3) == ["a"] * 3


async def test_a_trial_that_nobody_could_make_is_for_the_next_request(three: list[Vendor]) -> None:
    """The endpoint's only credential is let alone, so that whoever has the trial cannot ask."""
    async with House(card(endpoint(three[0], "a"))) as house:
        opened(house, 0)
        vouched(house, 0)
        house.slots.pause(login(1), 60, Refused())
        assert await outcomes(house, 1) == ["NobodyAnswered"]
        house.slots.resume()

        assert await outcomes(house, 1) == ["a"]


async def test_a_trial_whose_customer_leaves_is_for_the_next_request(three: list[Vendor]) -> None:
    async with House(card(endpoint(three[0], "a"))) as house:
        opened(house, 0)
        vouched(house, 0)
        three[0].script = silent
        leaver = asyncio.create_task(house.complete())
        await until(lambda: three[0].requests)
        leaver.cancel()
        await asyncio.wait({leaver})
        three[0].script = WELL

        assert await outcomes(house, 1) == ["a"]
