"""Customers who leave, and their money: they pay for what has come, and nothing stays on hold or counted."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import pytest

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import MICRO, Client, cost, estimate, new_client, price_of
from tests.e2e.talk import Line, ask, call, chat, texts

PAID = 100_000 * MICRO
MODEL = "odd/openai"
ENDLESS = "[[tokens=8000]][[chunks=2000]][[delay_ms=10]]Рассказывай"
LATE = "[[ttft_ms=30000]]Подумай"
# All three pieces of the text come, but never the end.
UNENDED = "[[echo]][[chunks=3]][[fault=stall.after=3]]Ёжик в тумане шёл к медвежонку"
TEXT = "Ёжик в тумане шёл к медвежонку"
# How many leave in all, and at once.
LEAVERS, BATCH = 1_000, 100
# Seconds after which nothing may be on hold for, and no slot be taken by, somebody who has left.
SOON = 1.0

_numbers = count(1)


@pytest.fixture
def client(installation: Installation) -> Client:
    return new_client(installation, PAID)


async def began(server: Server, client: Client, question: str, *, is_streamed: bool = True) -> Line:
    return await call(server, client.key, chat(MODEL, question, stream=is_streamed), X_Request_Id="leaver")


async def heard(line: Line, characters: int) -> str:
    """The beginning of the text, at least so many characters of it."""
    assert await line.status() == 200
    text = ""
    async for piece in line.pieces():
        text += "".join(texts(piece))
        if len(text) >= characters:
            break
    return text


async def is_soon_at_rest(client: Client) -> bool:
    return await asyncio.to_thread(wait_until, client.is_at_rest, SOON)


@pytest.mark.parametrize("is_gentle", [True, False], ids=["FIN", "RST"])
async def test_who_leaves_a_stream_pays_for_the_prompt_and_what_has_come(
    installation: Installation, express: Server, twins: Twins, client: Client, is_gentle: bool
):
    tag = f"mid-stream-{is_gentle}"
    line = await began(express, client, f"[[tag={tag}]]{ENDLESS}")
    text = await heard(line, 200)

    await (line.close() if is_gentle else line.leave())
    assert await is_soon_at_rest(client)

    [record] = client.records()
    sent = twins.journal(tag)[0]["completion_tokens_sent"]
    assert -(-len(text) // 3) <= record["tokens_completion"] <= -(-4 * sent // 3)
    assert client.charges() == [
        cost(price_of(installation, MODEL), record["tokens_prompt"], record["tokens_completion"])
    ]


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_who_leaves_before_there_is_an_answer_pays_nothing(
    express: Server, twins: Twins, client: Client, is_streamed: bool
):
    tag = f"early-{is_streamed}"
    line = await began(express, client, f"[[tag={tag}]]{LATE}", is_streamed=is_streamed)
    assert await asyncio.to_thread(wait_until, lambda: twins.journal(tag))
    assert (client.wallet()["held"] > 0, client.slots()) == (True, 1)

    await line.leave()

    assert await is_soon_at_rest(client)
    assert (client.charges(), client.wallet()["balance"]) == ([], PAID)


async def test_who_leaves_at_any_step_leaves_no_hold(express: Server, client: Client):
    """Between the door, the limits, the hold and the provider: some moment after the request was sent."""

    async def leave_after(milliseconds: float) -> None:
        line = await began(express, client, LATE)
        await asyncio.sleep(milliseconds / 1000)
        await line.leave()

    for _ in range(3):
        await asyncio.gather(*(leave_after(step / 2) for step in range(40)))

    assert await is_soon_at_rest(client)
    assert client.charges() == []


async def test_many_who_leave_at_once_free_everything(
    installation: Installation, express: Server, twins: Twins, client: Client
):
    backends = "SELECT count(*) AS open FROM pg_stat_activity WHERE datname = current_database()"
    before = installation.query(backends)[0]["open"]
    lines = await asyncio.gather(*(began(express, client, ENDLESS) for _ in range(200)))
    await asyncio.gather(*(heard(line, 1) for line in lines))
    assert client.slots() == 200

    for line in lines:
        await line.leave()

    assert await asyncio.to_thread(wait_until, client.is_at_rest, 3)
    records = client.records()
    assert Counter(record["status"] for record in records) == {"cancelled": 200}
    assert all(record["cost"] > 0 for record in records)
    assert installation.query(backends)[0]["open"] <= before + 2


# --- Free rides ----------------------------------------------------------------------------------------


@dataclass
class Rides:
    """Customers who try to get answers for nothing."""

    server: Server
    client: Client
    twins: Twins

    async def to_the_last_word(self, size: int) -> list[str]:
        """All the text, but not the end."""
        lines = await asyncio.gather(*(began(self.server, self.client, UNENDED) for _ in range(size)))
        told = await asyncio.gather(*(heard(line, len(TEXT)) for line in lines))
        await _leave(lines)
        return list(told)

    async def to_the_first_word(self, size: int) -> None:
        """The provider has the prompt, but has not answered."""
        tag = f"ride-{next(_numbers)}"
        question = f"[[tag={tag}]]{LATE}"
        lines = await asyncio.gather(*(began(self.server, self.client, question) for _ in range(size)))
        assert await asyncio.to_thread(wait_until, lambda: len(self.twins.journal(tag)) == size)
        await _leave(lines)


async def _leave(lines: Sequence[Line]) -> None:
    for line in lines:
        await line.leave()


async def test_nobody_gets_the_text_for_nothing_by_leaving_before_the_end(
    installation: Installation, express: Server, twins: Twins, client: Client
):
    rides = Rides(express, client, twins)

    told = [text for _ in range(LEAVERS // BATCH) for text in await rides.to_the_last_word(BATCH)]
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    [prompt] = {record["tokens_prompt"] for record in client.records()}
    each = cost(price_of(installation, MODEL), prompt, -(-len(TEXT) // 3))
    assert told == [TEXT] * LEAVERS
    assert prompt >= estimate(UNENDED)
    assert client.charges() == [each] * LEAVERS


async def test_the_choice_of_a_function_is_not_for_nothing(express: Server, client: Client):
    """Of functions that stand for answers, the name alone is worth having."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("it_is_spam", "it_is_none")]
    body = chat(MODEL, "[[call=it_is_spam]][[delay_ms=2000]]Это спам?", tools=tools, stream=True)
    line = await call(express, client.key, body)
    assert await line.status() == 200

    async for piece in line.pieces():
        if b"it_is_spam" in piece:
            break
    await line.leave()
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    assert client.records()[0]["cost"] > 0


async def test_whoever_leaves_before_the_first_word_pays_nothing(
    express: Server, twins: Twins, client: Client
):
    rides = Rides(express, client, twins)

    for _ in range(LEAVERS // BATCH):
        await rides.to_the_first_word(BATCH)
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    assert len(client.records()) == LEAVERS
    assert (client.charges(), client.wallet()["balance"]) == ([], PAID)


async def test_leaving_before_the_first_word_counts_as_asking(
    installation: Installation, express: Server, twins: Twins
):
    client = new_client(installation, requests_per_minute=10)
    rides = Rides(express, client, twins)

    await rides.to_the_first_word(10)

    refused = ask(express, client.key, chat(MODEL, "Привет"))
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
