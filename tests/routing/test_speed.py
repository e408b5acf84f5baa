"""What a stream tells of its vendor's speed; over real sockets."""

import asyncio

import pytest

from monitoring.vitals import Spread
from tests.gateways import DONE, ROLE, House, card, delta, route
from tests.servers import END, Line, Vendor, stream_head

PIECES = 20
PAUSE = 0.01  # seconds between the pieces of an answer


async def steady(line: Line) -> None:
    await line.asked()
    await line.say(stream_head(), ROLE)
    for _ in range(PIECES):
        await asyncio.sleep(PAUSE)
        await line.say(delta("слово "))
    await line.say(delta(finish="stop"), DONE, END)


async def throughput(*, reading: float) -> Spread | None:
    """What is known after an answer whose customer takes so many seconds for each event."""
    async with Vendor(steady) as vendor, House(card(route(vendor.url))) as house:
        events = house.gateway.stream(await house.admit(stream=True))
        async for _ in events:
            await asyncio.sleep(reading)
        house.health._renew_all()
        return house.health.vitals()[0].throughput


async def test_an_answer_that_is_read_as_it_comes_tells_how_fast_it_came() -> None:
    found = await throughput(reading=0)

    assert found is not None
    assert 0 < found.p50 < 1.1 * 3 / PAUSE  # a piece has two or three tokens


@pytest.mark.parametrize("reading", [2 * PAUSE, 5 * PAUSE])
async def test_a_customer_who_reads_slowly_does_not_make_the_vendor_slow(reading: float) -> None:
    assert await throughput(reading=reading) is None
