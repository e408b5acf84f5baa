"""The story of a request over real sockets: whom it asks, how often, and what is left when it ends."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from accounts.errors import ModelNotAllowed
from billing.errors import InsufficientFunds
from providers.errors import (
    Broken,
    Busy,
    ContextTooLong,
    DeadCredential,
    Rejected,
    TimedOut,
    Truncated,
    Unreachable,
)
from routing.call import Call
from routing.errors import NobodyAnswered, NoRoute, Unavailable, UnknownModel
from routing.route import Route
from routing.search import ATTEMPTS
from tests.gateways import (
    ANSWER,
    DONE,
    NOBODY,
    QUICK,
    ROLE,
    WHOLE,
    House,
    Script,
    before,
    caller,
    card,
    cutting,
    delta,
    events_of,
    login,
    route,
    saying,
    silent,
    spoken,
)
from tests.servers import END, Line, Vendor, chunk, event, reply, stream_head


@pytest.fixture
async def two() -> AsyncIterator[tuple[Vendor, Vendor]]:
    """Two vendors that answer whole, until a test gives one another script."""
    async with Vendor(saying(reply(ANSWER))) as first, Vendor(saying(reply(ANSWER))) as second:
        yield first, second


# Admission ------------------------------------------------------------------------------------------


async def test_a_model_nobody_has_heard_of_is_named_with_its_neighbours() -> None:
    async with House(card(route(NOBODY), name="gigachat/pro")) as house:
        with pytest.raises(UnknownModel) as caught:
            await house.admit(model="gigachat/prp")

    assert caught.value.nearest == ["gigachat/pro"]


async def test_a_key_may_not_use_a_model_that_is_not_on_its_list() -> None:
    async with House(card(route(NOBODY))) as house:
        with pytest.raises(ModelNotAllowed):
            await house.admit(as_=caller(models=frozenset({"other"})))


async def test_a_test_key_is_answered_by_twins_alone() -> None:
    async with House(card(route(NOBODY, "real"), twins=(route(NOBODY, "twin"),)), card(name="x")) as house:
        ticket = await house.admit(as_=caller(is_test=True))
        with pytest.raises(NoRoute):
            await house.admit(as_=caller(is_test=True), model="x")

    assert [q.route.upstream.slug for q in ticket.quotes] == ["twin"]


async def test_while_nothing_can_be_recorded_nobody_is_let_in() -> None:
    async with House(card(route(NOBODY)), room=0) as house:
        with pytest.raises(Unavailable):
            await house.admit()


async def test_fallback_models_are_tried_in_the_customers_order() -> None:
    cheap = card(route(NOBODY, "a", model="cheap", priority=5), name="cheap")
    dear = card(route(NOBODY, "b", model="dear", priority=0), name="dear")
    async with House(cheap, dear) as house:
        ticket = await house.admit(model=None, models=["cheap", "dear"])

    assert [q.route.model for q in ticket.quotes] == ["cheap", "dear"]


@pytest.mark.parametrize("stream", [False, True])
async def test_models_alone_name_what_is_wanted(two: tuple[Vendor, Vendor], stream: bool) -> None:
    two[0].script = saying(*WHOLE) if stream else saying(reply(ANSWER))
    async with House(card(route(two[0].url))) as house:
        chat = {"models": ["m"], "messages": [{"role": "user", "content": "x"}], "stream": stream}
        ticket = await house.gateway.admit(caller(), chat, Call("req_1", ""))
        if stream:
            said = spoken([piece async for piece in house.gateway.stream(ticket)])
        else:
            said = (await house.gateway.complete(ticket))["choices"][0]["message"]["content"]

    assert said == "Привет"


# Money ----------------------------------------------------------------------------------------------


async def test_without_money_nobody_is_asked(two: tuple[Vendor, Vendor]) -> None:
    async with before(*two, wealth=3) as house:
        with pytest.raises(InsufficientFunds) as refused:
            await house.complete()

    assert refused.value.missing == house.book.asks[0].minimum - 3
    assert two[0].requests == two[1].requests == []
    assert house.book.records == []


@pytest.mark.parametrize("stream", [False, True])
async def test_with_little_money_the_vendor_is_told_to_be_short(
    two: tuple[Vendor, Vendor], stream: bool
) -> None:
    two[0].script = saying(*WHOLE) if stream else saying(reply(ANSWER))
    async with before(*two, wealth=100) as house:
        await (house.stream() if stream else house.complete())

    [ask] = house.book.asks
    assert two[0].requests[0].json["max_tokens"] == (100 - (ask.minimum - 2)) // 2


async def test_a_customer_who_leaves_while_money_is_put_on_hold_leaves_nothing_there(
    two: tuple[Vendor, Vendor],
) -> None:
    async with before(*two) as house:
        task = asyncio.create_task(house.complete())
        await turns(1)
        task.cancel()
        await asyncio.wait({task})

    assert task.cancelled()
    assert house.book.records == []
    assert two[0].requests == []


async def test_who_stops_waits_for_what_was_let_in(two: tuple[Vendor, Vendor]) -> None:
    asked = asyncio.Event()

    async def silent_once_asked(line: Line) -> None:
        await line.asked()
        asked.set()
        await line.until_left()

    two[0].script = silent_once_asked
    async with before(*two) as house:
        cut_off = asyncio.create_task(house.complete())
        await asked.wait()
        cut_off.cancel()
        unsettled = len(house.book.records)
        await house.admission.finish(1)

    assert (unsettled, len(house.book.records)) == (0, 1)


async def test_a_stream_that_minds_no_limit_is_stopped(two: tuple[Vendor, Vendor]) -> None:
    async def endless(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), ROLE)
        while True:
            await line.say(delta("слово "))
            await asyncio.sleep(0.001)

    two[0].script = endless
    async with before(*two) as house:
        pieces = await house.stream(max_tokens=50)
        assert await two[0].deserted()

    reasons = [c["finish_reason"] for e in events_of(pieces) for c in e["choices"] if c["finish_reason"]]
    assert reasons == ["length"]
    assert 50 <= len(spoken(pieces).split()) <= 60
    assert pieces[-1].endswith(b"data: [DONE]\n\n")
    [record] = house.book.records
    assert (record.status, record.finish_reason, record.tokens_completion) == ("ok", "length", 50)
    assert 0 < record.cost <= house.book.asks[0].amount


# Whole answers --------------------------------------------------------------------------------------


async def test_an_answer_is_dressed_and_recorded(two: tuple[Vendor, Vendor]) -> None:
    async with before(*two) as house:
        answer = await house.complete(user="u-1")

    assert answer["object"] == "chat.completion"
    assert (answer["model"], answer["provider"]) == ("m", "a")
    assert answer["choices"][0]["message"]["content"] == "Привет"
    assert ANSWER["usage"].items() <= answer["usage"].items()
    assert answer["usage"]["cost"] == 0.000009  # 5 tokens of a micro-rouble and 2 of two
    [record] = house.book.records
    assert f"gen-{record.id.hex}" == answer["id"]
    assert (record.status, record.http_status, record.finish_reason) == ("ok", 200, "stop")
    assert (record.tokens_prompt, record.tokens_completion, record.usage_source) == (5, 2, "provider")
    assert (record.provider, record.upstream_model, record.user) == ("a", "m-at-a", "u-1")
    assert [attempt["outcome"] for attempt in record.attempts] == ["ok"]
    assert two[0].requests[0].json["model"] == "m-at-a"
    assert two[0].requests[0].headers["authorization"] == "Bearer key-1"
    assert two[1].requests == []


FAULTS = {
    "500": (saying(reply({"error": {"message": "x"}}, 500)), Broken),
    "503 as a page": (saying(reply(b"<html>", 503)), Broken),
    "429": (saying(reply({}, 429, Retry_After="7")), Busy),
    "401": (saying(reply({}, 401)), DeadCredential),
    "402": (saying(reply({}, 402)), DeadCredential),
    "cut": (cutting, Broken),
    "silence": (silent, TimedOut),
    "no JSON": (saying(reply(b"hello")), Broken),
    "nothing": (saying(reply(b"")), Broken),
    "a redirect": (saying(reply(b"", 302, Location="http://localhost:1/")), Broken),
    "no choices": (saying(reply({"choices": []})), Broken),
}


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS.keys())
async def test_when_the_first_vendor_fails_the_second_answers(
    two: tuple[Vendor, Vendor], script: Script, kind: type[Exception]
) -> None:
    two[0].script = script
    async with before(*two, timeouts=QUICK) as house:
        answer = await house.complete()

    assert answer["provider"] == "b"
    assert (len(two[0].requests), len(two[1].requests)) == (1, 1)
    [record] = house.book.records
    assert [attempt["outcome"] for attempt in record.attempts] == [kind.__name__, "ok"]
    assert (record.status, record.provider) == ("ok", "b")


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS.keys())
async def test_when_all_fail_the_last_failure_is_told(
    two: tuple[Vendor, Vendor], script: Script, kind: type[Exception]
) -> None:
    two[0].script = two[1].script = script
    async with before(*two, timeouts=QUICK) as house:
        with pytest.raises(NobodyAnswered) as caught:
            await house.complete()

    assert type(caught.value.failure) is kind
    assert caught.value.attempts == 2
    [record] = house.book.records
    assert (record.status, record.usage_source, record.tokens_prompt) == ("failed", "none", 0)


@pytest.mark.parametrize(
    ("said", "stop", "provider"),
    [
        ({"content": None}, None, "b"),
        ({"content": ""}, [], "b"),
        ({"content": None}, ["."], "a"),
        ({"content": ""}, ".", "a"),
        ({"content": "Да"}, None, "a"),
        ({"content": None, "refusal": "Нет"}, None, "a"),
    ],
    ids=str,
)
async def test_thoughts_without_a_word_are_an_answer_where_the_customer_may_have_stopped_them(
    two: tuple[Vendor, Vendor], said: dict[str, Any], stop: Any, provider: str
) -> None:
    message = {"role": "assistant", "reasoning_content": "Думаю", **said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    two[0].script = saying(reply({**ANSWER, "choices": [choice]}))
    async with before(*two) as house:
        answer = await house.complete(stop=stop)

    assert answer["provider"] == provider
    assert house.book.records[0].cost > 0


async def test_a_stop_that_the_vendor_was_not_told_has_ended_no_thoughts(two: tuple[Vendor, Vendor]) -> None:
    message = {"role": "assistant", "reasoning_content": "Думаю", "content": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    two[0].script = saying(reply({**ANSWER, "choices": [choice]}))
    first = route(two[0].url, "a", adapter="mts-ai")
    async with House(card(first, route(two[1].url, "b", priority=1))) as house:
        answer = await house.complete(stop=["."])

    assert answer["provider"] == "b"


@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_before_a_stop_at_which_we_cut_are_paid_for(
    two: tuple[Vendor, Vendor], stream: bool
) -> None:
    said = {"role": "assistant", "reasoning_content": "Думаю", "content": ".Да"}
    choice = {"index": 0, "finish_reason": "stop"}
    two[0].script = (
        saying(stream_head(), event({"choices": [{**choice, "delta": said}]}), DONE, END)
        if stream
        else saying(reply({**ANSWER, "choices": [{**choice, "message": said}]}))
    )
    async with House(card(route(two[0].url, "a", adapter="mts-ai"))) as house:
        await (house.stream(stop=["."]) if stream else house.complete(stop=["."]))

    assert house.book.records[0].cost > 0


async def test_no_connection_is_tried_twice_and_then_the_next(two: tuple[Vendor, Vendor]) -> None:
    async with House(card(route(NOBODY, "a"), route(two[1].url, "b", priority=1))) as house:
        answer = await house.complete()

    assert answer["provider"] == "b"
    assert [a["outcome"] for a in house.book.records[0].attempts] == ["Unreachable", "Unreachable", "ok"]


async def test_an_address_that_is_wrong_is_tried_once(two: tuple[Vendor, Vendor]) -> None:
    nowhere = route("http://vendor.invalid", "a")

    async with House(card(nowhere, route(two[1].url, "b", priority=1))) as house:
        await house.complete()

    assert [a["outcome"] for a in house.book.records[0].attempts] == ["Misaddressed", "ok"]


async def test_what_fits_nobodys_context_is_the_customers_to_shorten() -> None:
    short = replace(route(NOBODY), context_length=100)
    async with House(card(short, replace(short, endpoint_id=1))) as house:
        with pytest.raises(ContextTooLong, match="maximum context length"):
            await house.admit(messages=[{"role": "user", "content": "я" * 900}])


async def test_there_are_never_more_than_three_attempts() -> None:
    async with Vendor(saying(reply({}, 503))) as server:
        logins = tuple(login(n) for n in range(1, 10))
        routes = [route(server.url, f"v{n}", priority=n, logins=logins) for n in range(5)]
        async with House(card(*routes)) as house:
            with pytest.raises(NobodyAnswered) as caught:
                await house.complete()

    assert caught.value.attempts == len(server.requests) == ATTEMPTS
    asked = [orjson.loads(request.body)["model"] for request in server.requests]
    assert asked == [f"m-at-v{n}" for n in range(3)]


async def test_all_attempts_together_take_no_longer_than_the_longest_may() -> None:
    async def dripping(line: Line) -> None:
        await line.asked()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        await line.until_left()

    async with Vendor(dripping) as server:
        limits = [replace(QUICK, total=total) for total in (0.3, 0.5, 0.3)]
        routes = [route(server.url, f"v{n}", priority=n, timeouts=t) for n, t in enumerate(limits)]
        async with House(card(*routes)) as house:
            with pytest.raises(NobodyAnswered) as caught:
                await house.complete()

    [record] = house.book.records
    assert [attempt["outcome"] for attempt in record.attempts] == ["TimedOut", "TimedOut"]
    assert type(caught.value.failure) is TimedOut
    assert record.duration_ms < 700


async def test_repeats_count_as_attempts() -> None:
    async with House(card(route(NOBODY, "a"), route(NOBODY, "b", priority=1))) as house:
        with pytest.raises(NobodyAnswered) as caught:
            await house.complete()

    assert type(caught.value.failure) is Unreachable
    assert [a["provider"] for a in house.book.records[0].attempts] == ["a", "a", "b"]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_vendor_rejects_is_not_sent_to_the_next(
    two: tuple[Vendor, Vendor], status: int, stream: bool
) -> None:
    two[0].script = saying(reply({"error": {"message": "temperature is too high"}}, status))
    async with before(*two) as house:
        with pytest.raises(Rejected, match="temperature is too high"):
            await (house.stream() if stream else house.complete())

    assert (len(two[0].requests), len(two[1].requests)) == (1, 0)
    assert (house.book.records[0].status, house.book.records[0].http_status) == ("failed", 400)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stale_connection_is_replaced_unseen(two: tuple[Vendor, Vendor], stream: bool) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(*(WHOLE if stream else (reply(ANSWER),)))
        if line.number == 1:
            await line.asked()
            line.reset()

    two[0].script = script
    async with before(*two) as house:
        for _ in range(2):
            await (house.stream() if stream else house.complete())

    assert two[0].connections == 2
    assert two[1].requests == []
    assert [a["outcome"] for a in house.book.records[1].attempts] == ["Stale", "ok"]


async def test_where_one_kept_connection_is_stale_no_other_is_tried(two: tuple[Vendor, Vendor]) -> None:
    together = asyncio.Barrier(2)

    async def script(line: Line) -> None:
        await line.asked()
        if line.number <= 2:
            await together.wait()
        await line.say(reply(ANSWER))
        if line.number <= 2:
            await line.asked()
            line.reset()

    two[0].script = script
    async with before(*two) as house:
        await asyncio.gather(house.complete(), house.complete())
        await house.complete()

    assert two[0].connections == 3
    assert two[1].requests == []
    assert [a["outcome"] for a in house.book.records[2].attempts] == ["Stale", "ok"]


async def test_the_next_credential_is_tried_where_the_first_is_dead(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        while True:
            asked = await line.asked()
            is_dead = asked.headers["authorization"] == "Bearer key-1"
            await line.say(reply({}, 401) if is_dead else reply(ANSWER))

    two[0].script = script
    async with House(card(route(two[0].url, logins=(login(1), login(2))))) as house:
        assert await house.complete()

    assert len(two[0].requests) == 2


# Tokens ---------------------------------------------------------------------------------------------


GIGACHAT = {**ANSWER, "object": "chat.completion", "created": 1, "model": "GigaChat"}


def oauth(*, refuse: Callable[[str], bool]) -> Script:
    """GigaChat: exchanges keys for tokens, and refuses those it is told to."""
    given = 0

    async def script(line: Line) -> None:
        nonlocal given
        while True:
            asked = await line.asked()
            if "/oauth" in asked.line:
                given += 1
                await line.say(reply({"access_token": f"token-{given}", "expires_at": 9_999_999_999_000}))
            elif refuse(asked.headers["authorization"]):
                await line.say(reply({"status": 401, "message": "Token has expired"}, 401))
            else:
                await line.say(reply(GIGACHAT))

    return script


def gigachat(server: Vendor) -> Route:
    secret = {"authorization_key": f"key {random.random()}", "scope": "GIGACHAT_API_PERS"}
    number = random.randrange(10**9)
    return route(
        server.url, adapter="gigachat", auth_url=f"{server.url}/oauth", logins=(login(number, **secret),)
    )


async def test_a_refused_token_is_renewed_and_the_request_repeated_once() -> None:
    script = oauth(refuse=lambda header: header == "Bearer token-1")
    async with Vendor(script) as server, House(card(gigachat(server))) as house:
        assert await house.complete()

    assert [a["outcome"] for a in house.book.records[0].attempts] == ["TokenRefused", "ok"]
    assert sum("/oauth" in r.line for r in server.requests) == 2


async def test_a_token_is_renewed_also_on_a_connection_that_was_closed_meanwhile() -> None:
    """A stale connection and a token that has ended are one failure each, and neither is the vendor's."""

    async def script(line: Line) -> None:
        while True:
            asked = await line.asked()
            if "/oauth" in asked.line:
                await line.say(
                    reply({"access_token": f"token-{line.number}", "expires_at": 9_999_999_999_000})
                )
                continue
            if line.number == 1 and line.count == 3:
                line.reset()
                return
            is_over = line.number == 2 and asked.headers["authorization"] == "Bearer token-1"
            await line.say(reply({"status": 401}, 401) if is_over else reply(GIGACHAT))

    async with Vendor(script) as server, House(card(gigachat(server))) as house:
        await house.complete()
        await house.complete()

    outcomes = [attempt["outcome"] for attempt in house.book.records[1].attempts]
    assert outcomes == ["Stale", "TokenRefused", "ok"]


async def test_a_session_is_recorded_as_it_is_and_told_to_vendors_under_another_name() -> None:
    session = "alice@romashka.example"
    async with Vendor(oauth(refuse=lambda _: False)) as server, House(card(gigachat(server))) as house:
        for client in (1, 1, 2):
            await house.complete(as_=caller(client_id=client), session_id=session)

    told = [r.headers["x-session-id"] for r in server.requests if "/oauth" not in r.line]
    assert [record.session_id for record in house.book.records] == [session] * 3
    assert told[0] == told[1] != told[2]
    assert not any("alice" in name for name in told)


async def test_a_vendor_that_refuses_every_token_is_asked_twice() -> None:
    async with Vendor(oauth(refuse=lambda _: True)) as server, House(card(gigachat(server))) as house:
        with pytest.raises(NobodyAnswered) as caught:
            await house.complete()

    assert isinstance(caught.value.failure, DeadCredential)
    assert len(server.requests) == 4


# Streams --------------------------------------------------------------------------------------------


async def test_a_stream_has_its_legal_order_and_is_recorded(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = saying(*WHOLE)
    async with before(*two) as house:
        pieces = await house.stream(stream_options={"include_usage": True})

    events = events_of(pieces)
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert spoken(pieces) == "Привет"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert (events[-1]["choices"], events[-1]["usage"]["completion_tokens"]) == ([], 2)
    assert pieces[-1].endswith(b"data: [DONE]\n\n")
    [record] = house.book.records
    assert (record.status, record.streamed, record.usage_source) == ("ok", True, "estimated")
    assert record.first_token_ms is not None


async def test_a_streams_connection_serves_the_next_request(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = saying(*WHOLE)
    async with before(*two) as house:
        for _ in range(3):
            await house.stream()

    assert two[0].connections == 1


STREAM_FAULTS = {
    "nothing but the role": (stream_head(), ROLE),
    "an error event first": (stream_head(), event({"error": {"message": "x", "code": 500}}), END),
    "an error after the role": (stream_head(), ROLE, event({"error": {"message": "x", "code": 500}}), END),
    "an empty stream": (stream_head(), END),
    "only [DONE]": (stream_head(), DONE, END),
    "a page": (stream_head(), chunk(b"<html>"), END),
    "no JSON": (stream_head(), chunk(b"data: {nonsense\n\n"), END),
    "503": (reply({}, 503),),
}


@pytest.mark.parametrize("said", STREAM_FAULTS.values(), ids=STREAM_FAULTS.keys())
async def test_before_the_first_output_another_vendor_takes_over_unseen(
    two: tuple[Vendor, Vendor], said: tuple[bytes, ...]
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(*said)

    two[0].script = script
    two[1].script = saying(*WHOLE)
    async with before(*two) as house:
        pieces = await house.stream()

    assert spoken(pieces) == "Привет"
    assert {event["provider"] for event in events_of(pieces)} == {"b"}
    assert b"error" not in b"".join(pieces)


async def test_a_vendor_without_a_first_token_in_time_loses_the_request(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), ROLE)
        await line.until_left()

    two[0].script = script
    two[1].script = saying(*WHOLE)
    async with before(*two, timeouts=QUICK) as house:
        assert spoken(await house.stream()) == "Привет"
        assert await two[0].deserted()

    assert [a["outcome"] for a in house.book.records[0].attempts] == ["TimedOut", "ok"]


async def test_late_headers_leave_less_time_for_the_first_token(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await asyncio.sleep(0.2)
        await line.say(stream_head(), ROLE)
        await asyncio.sleep(0.2)
        await line.say(*WHOLE[2:])

    two[0].script = script
    two[1].script = saying(*WHOLE)
    async with before(*two, timeouts=QUICK) as house:
        pieces = await house.stream()

    assert {event["provider"] for event in events_of(pieces)} == {"b"}


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ((), Truncated),
        ((event({"error": {"message": "secret of the vendor", "code": 500}}), END), Broken),
        ((chunk(b"data: {nonsense\n\n"), END), Broken),
        ((END,), Truncated),
    ],
    ids=["cut", "error event", "no JSON", "no finish"],
)
async def test_after_the_first_output_nobody_else_is_asked(
    two: tuple[Vendor, Vendor], rest: tuple[bytes, ...], kind: type[Exception]
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), delta("При"))
        await asyncio.sleep(0.05)
        await line.say(*rest)

    two[0].script = script
    async with before(*two) as house:
        pieces = await house.stream()

    last = events_of(pieces)[-1]
    assert spoken(pieces) == "При"
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["error"]["metadata"]["provider_name"] == "a"
    assert "secret" not in str(last)
    assert pieces[-1].endswith(b"data: [DONE]\n\n")
    assert two[1].requests == []
    [record] = house.book.records
    assert (record.status, record.finish_reason, record.usage_source) == ("failed", "error", "estimated")
    assert record.tokens_completion == 1


async def test_a_stream_that_stalls_ends_with_an_error_event(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), delta("При"))
        await line.until_left()

    two[0].script = script
    async with before(*two, timeouts=QUICK, keep_alive=0.1) as house:
        pieces = await house.stream()

        assert await two[0].deserted()
    assert pieces.count(b": waiting for the model\n\n") >= 2
    assert events_of(pieces)[-1]["error"]["metadata"]["error_type"] == "provider_timeout"


async def test_the_operator_is_told_of_a_stream_that_breaks(
    two: tuple[Vendor, Vendor], caplog: pytest.LogCaptureFixture
) -> None:
    two[0].script = saying(stream_head(), delta("При"), END)
    async with before(*two) as house:
        await house.stream()

    [line] = caplog.records
    assert (line.getMessage(), line.provider, line.error) == ("an answer broke off", "a", "Truncated")  # type: ignore[attr-defined]


async def test_an_end_without_done_is_an_end_if_the_answer_is_whole(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = saying(stream_head(), delta("Привет"), delta(finish="stop"), END)
    async with before(*two) as house:
        pieces = await house.stream()

    assert spoken(pieces) == "Привет"
    assert b"error" not in b"".join(pieces)


async def test_a_customer_who_waits_gets_comments(two: tuple[Vendor, Vendor]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await asyncio.sleep(0.2)
        await line.say(*WHOLE)
        await line.until_left()

    two[0].script = script
    async with before(*two, keep_alive=0.05) as house:
        pieces = await house.stream()

    assert pieces[0] == pieces[1] == b": waiting for the model\n\n"
    assert spoken(pieces) == "Привет"


async def test_an_error_after_comments_is_an_event_as_the_status_is_gone(two: tuple[Vendor, Vendor]) -> None:
    for server in two:
        server.script = silent
    async with before(*two, timeouts=QUICK, keep_alive=0.1) as house:
        pieces = await house.stream()

    assert pieces[0] == b": waiting for the model\n\n"
    [error] = events_of(pieces)
    assert error["error"]["metadata"]["error_type"] == "provider_timeout"
    assert pieces[-1].endswith(b"data: [DONE]\n\n")


# Customers who leave --------------------------------------------------------------------------------


async def test_a_customer_who_leaves_before_a_whole_answer_is_recorded_as_gone(
    two: tuple[Vendor, Vendor],
) -> None:
    was_asked = asyncio.Event()

    async def script(line: Line) -> None:
        await line.asked()
        was_asked.set()
        await line.until_left()

    two[0].script = script
    async with before(*two) as house:
        task = asyncio.create_task(house.complete())
        await was_asked.wait()

        task.cancel()

        assert await two[0].deserted(within=1)
        with pytest.raises(asyncio.CancelledError):
            await task
    [record] = house.book.records
    assert (record.status, record.cancelled, record.http_status) == ("cancelled", True, 499)
    assert two[1].requests == []


async def test_a_customer_who_leaves_a_stream_closes_the_vendors_connection(
    two: tuple[Vendor, Vendor],
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), delta("При"))
        await line.until_left()

    two[0].script = script
    async with before(*two) as house:
        events = house.gateway.stream(await house.admit(stream=True))
        assert spoken([await anext(events)]) == "При"

        await events.aclose()

        assert await two[0].deserted(within=1)
    [record] = house.book.records
    assert (record.status, record.tokens_completion, record.usage_source) == ("cancelled", 1, "estimated")


async def test_whoever_leaves_after_the_last_word_has_had_it_all(two: tuple[Vendor, Vendor]) -> None:
    two[0].script = saying(*WHOLE)
    async with before(*two) as house:
        events = house.gateway.stream(await house.admit(stream=True))
        async for piece in events:
            if b"[DONE]" in piece:
                break
        await events.aclose()

    assert [record.status for record in house.book.records] == ["ok"]


async def slow_whole(line: Line) -> None:
    """Answers in either way, in steps, so that a customer may leave between any two of them."""
    while True:
        asked = await line.asked()
        said = WHOLE if asked.json.get("stream") else (reply(ANSWER),)
        raw = b"".join(said)
        for at in range(0, len(raw), 90):
            await line.say(raw[at : at + 90])
            await asyncio.sleep(0)


async def moody(line: Line) -> None:
    """As ``slow_whole``, but some requests are refused and some are cut."""
    dice = random.Random(line.number)
    while True:
        asked = await line.asked()
        mood = dice.random()
        if mood < 0.3:
            await line.say(reply({}, 503))
            continue
        if mood < 0.5:
            return
        await line.say(*(WHOLE if asked.json.get("stream") else (reply(ANSWER),)))


async def turns(count: int) -> None:
    """Let the event loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("script", [slow_whole, moody])
@pytest.mark.parametrize("leaves", [1, 2], ids=["once", "twice"])
async def test_whenever_a_customer_leaves_he_is_recorded_once_and_nothing_is_left(
    two: tuple[Vendor, Vendor], script: Script, leaves: int
) -> None:
    dice = random.Random(leaves)
    two[0].script = two[1].script = script
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with before(*two, keep_alive=0.002) as house:
        for _ in range(200):
            task = asyncio.create_task(house.stream() if dice.random() < 0.6 else house.complete())
            await turns(1)
            for _ in range(leaves):
                await turns(dice.randrange(60))
                task.cancel()
            await asyncio.wait({task})
            await turns(3)

            # Who left before there was a hold leaves no record either.
            assert len(house.book.records) == len(house.book.asks)
    assert await two[0].deserted()
    assert await two[1].deserted()
    assert failures == []
    assert {record.status for record in house.book.records} >= {"ok", "cancelled"}
    assert asyncio.all_tasks() == {asyncio.current_task()}
