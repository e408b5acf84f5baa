"""A provider that closes idle connections just when customers come back to them."""

import asyncio
import random
from collections import Counter

import pytest

from tests.e2e.conftest import DROWSE
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, cost, new_client, price_of
from tests.e2e.talk import call, chat

# Customers, each of whom asks so many times and makes a pause of as long as the provider has patience, and a
# tenth more or less.
CUSTOMERS, TIMES = 200, 5
LITTLE = 0.03 * DROWSE
MODEL = "solo/drowsy"


@pytest.fixture
def client(installation: Installation) -> Client:
    return new_client(installation)


async def customer(server: Server, client: Client, number: int) -> list[tuple[int, bytes]]:
    """What one of them is answered: statuses with bodies."""
    pauses, answers = random.Random(number), []
    for time in range(TIMES):
        await asyncio.sleep(time and DROWSE + pauses.uniform(-LITTLE, LITTLE))
        body = chat(MODEL, f"[[tag=idle-{number}-{time}]][[tokens=5]]Привет")
        line = await call(server, client.key, body, Connection="close")
        answers.append((await line.status(), await line.rest()))
        await line.close()
    return answers


async def test_a_thousand_requests_that_meet_a_connection_about_to_be_closed_are_answered_and_paid_once(
    installation: Installation, express: Server, client: Client, drowsy: Twins
):
    customers = (customer(express, client, number) for number in range(CUSTOMERS))
    answers = [answer for told in await asyncio.gather(*customers) for answer in told]
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    asked = [entry for entry in drowsy.journal() if entry["tag"].startswith("idle-")]
    price = price_of(installation, MODEL)
    due = [cost(price, entry["prompt_tokens"], entry["completion_tokens_sent"]) for entry in asked]
    assert Counter(status for status, _ in answers) == {200: CUSTOMERS * TIMES}
    assert len(asked) == len({entry["tag"] for entry in asked}) == CUSTOMERS * TIMES
    assert {(entry["status"], entry["outcome"]) for entry in asked} == {(200, "served")}
    assert sorted(client.charges()) == sorted(due)
