"""One streamed answer, byte by byte over a real connection: when it begins, pauses, breaks and ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from providers.adapters import ADAPTERS
from providers.errors import Broken, TimedOut, Truncated, UpstreamError
from providers.transports.aio import Transport
from providers.upstreams import Timeouts, Upstream
from providers.wire import UpstreamRequest
from routing.flow import Flow
from tests.gateways import DONE, ROLE, WHOLE, delta
from tests.servers import END, Line, Vendor, chunk, event, stream_head

QUICK = Timeouts(connect=1, first_byte=0.3, first_token=0.3, between_tokens=0.3, total=0.8)
COMMENT = chunk(b": still here\n\n")
COUNT = event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


@asynccontextmanager
async def flow(
    *said: bytes | float, stops: tuple[str, ...] = (), timeouts: Timeouts = QUICK
) -> AsyncIterator[tuple[Flow, Vendor]]:
    """A flow from a vendor that says these bytes and pauses for these seconds, and then waits."""

    async def script(line: Line) -> None:
        await line.asked()
        for piece in said:
            await (asyncio.sleep(piece) if isinstance(piece, float) else line.say(piece))
        await line.until_left()

    upstream = Upstream("v", "openai", "", timeouts=timeouts)
    async with Vendor(script) as server, Transport() as transport:
        connection = await transport.open(UpstreamRequest("POST", server.url, {}), upstream)
        flow = Flow(connection, ADAPTERS["openai"].chat_stream(), timeouts, stops)
        try:
            yield flow, server
        finally:
            flow.close()


async def pieces(flow: Flow, silence: float = 5) -> list[list[dict[str, Any]]]:
    return [piece async for piece in flow.pieces(silence)]


def text(pieces: list[list[dict[str, Any]]]) -> str:
    choices = [choice for piece in pieces for chunk in piece for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_a_whole_answer_begins_goes_on_and_ends() -> None:
    async with flow(*WHOLE) as (answer, _):
        await answer.begin()

        assert text(await pieces(answer)) == "Привет"


async def test_an_answer_has_begun_with_the_first_output_and_not_before() -> None:
    async with flow(stream_head(), ROLE, COMMENT, 0.1, delta("При"), 0.1, *WHOLE[3:]) as (answer, _):
        started = asyncio.get_running_loop().time()
        await answer.begin()
        took = asyncio.get_running_loop().time() - started

        assert 0.05 < took < 0.19
        assert text(await pieces(answer)) == "Привет"


@pytest.mark.parametrize("again", ["role", "comment", "nothing"])
async def test_an_answer_that_does_not_begin_times_out_whatever_else_comes(again: str) -> None:
    sign = {"role": ROLE, "comment": COMMENT, "nothing": b""}[again]
    async with flow(stream_head(), *([sign, 0.02] * 100)) as (answer, _):
        with pytest.raises(TimedOut):
            await answer.begin()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ((END,), Truncated),
        ((DONE, END), Truncated),
        ((ROLE, END), Truncated),
        ((chunk(b"data: {nonsense}\n\n"),), Broken),
        ((event({"error": {"message": "x"}}),), UpstreamError),
        ((chunk(b"data: [1]\n\n"),), Broken),
    ],
)
async def test_an_answer_that_fails_before_it_began_raises_at_once(
    said: tuple[bytes, ...], kind: type[UpstreamError]
) -> None:
    async with flow(stream_head(), *said) as (answer, _):
        with pytest.raises(kind):
            await answer.begin()


async def test_what_came_with_a_failure_is_delivered_before_it() -> None:
    broken = delta("При") + event({"error": {"message": "x", "code": 500}})
    async with flow(stream_head() + broken) as (answer, _):
        await answer.begin()
        rest = answer.pieces(5)

        assert text([await anext(rest)]) == "При"
        with pytest.raises(Broken):
            await anext(rest)


async def test_silence_is_told_each_time() -> None:
    async with flow(stream_head(), delta("При"), 0.25, *WHOLE[3:]) as (answer, _):
        await answer.begin()

        came = await pieces(answer, silence=0.1)

    assert came.count([]) == 2
    assert text(came) == "Привет"


@pytest.mark.parametrize("sign", [COMMENT, COUNT])
async def test_what_is_no_output_does_not_break_the_silence(sign: bytes) -> None:
    async with flow(stream_head(), delta("При"), *([sign, 0.02] * 12), *WHOLE[3:]) as (answer, _):
        await answer.begin()

        came = await pieces(answer, silence=0.1)

    assert came.count([]) >= 2
    assert text(came) == "Привет"


async def test_the_time_a_customer_takes_is_not_counted_as_the_vendors() -> None:
    async with flow(*WHOLE[:3], 0.1, *WHOLE[3:]) as (answer, _):
        await answer.begin()
        rest = answer.pieces(5)
        said = [await anext(rest)]

        await asyncio.sleep(QUICK.between_tokens + 0.1)
        said += [piece async for piece in rest]

    assert text(said) == "Привет"


@pytest.mark.parametrize("sign", [b"", COMMENT, COUNT])
async def test_between_tokens_an_answer_may_take_its_time_and_no_more(sign: bytes) -> None:
    async with flow(stream_head(), delta("При"), *([sign, 0.02] * 100)) as (answer, _):
        await answer.begin()
        with pytest.raises(TimedOut):
            await pieces(answer, silence=0.05)


async def test_an_answer_without_end_is_ended_by_its_total_time() -> None:
    async with flow(stream_head(), *([delta("да "), 0.02] * 200)) as (answer, _):
        await answer.begin()
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimedOut):
            await pieces(answer)

        assert asyncio.get_running_loop().time() - started < 1.2


async def test_after_the_last_word_nothing_more_is_waited_for() -> None:
    async with flow(*WHOLE[:-1]) as (answer, server):
        await answer.begin()
        async with asyncio.timeout(0.5):
            await pieces(answer)
            await answer.finish()
        answer.close()

        assert await server.deserted()


async def test_an_answer_cut_at_a_stop_sequence_ends_there_and_closes_the_connection() -> None:
    endless = [delta("раз, "), delta("два, "), delta("СТ"), delta("ОП, три"), delta("четыре")]
    async with flow(stream_head(), *endless, stops=("СТОП",)) as (answer, server):
        await answer.begin()
        came = await pieces(answer)
        await answer.finish()
        answer.close()

        assert await server.deserted()
    assert text(came) == "раз, два, "
    assert came[-1][-1]["choices"][0]["finish_reason"] == "stop"


async def test_what_looked_like_a_stop_sequence_is_delivered_in_the_end() -> None:
    async with flow(stream_head(), delta("раз СТ"), delta(finish="stop"), DONE, END, stops=("СТОП",)) as (
        answer,
        _,
    ):
        await answer.begin()

        assert text(await pieces(answer)) == "раз СТ"


async def test_a_reader_who_leaves_can_be_closed_after() -> None:
    async with flow(stream_head(), delta("При")) as (answer, server):
        await answer.begin()
        reading = asyncio.create_task(pieces(answer))
        await asyncio.sleep(0.02)

        reading.cancel()
        await asyncio.wait({reading})
        answer.close()

        assert await server.deserted()
