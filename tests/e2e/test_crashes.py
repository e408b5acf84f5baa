"""Web workers that die or freeze with money on hold, or whose database falls silent: who pays in the end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.talk import ask, call, chat
from tests.e2e.wallet import Wallet

# The moments at which a worker is killed, and the model that is asked then.
MOMENTS = {
    "while the provider thinks": "slow/gigachat",
    "in mid-stream": "slow/openai",
    "after the provider's last word": "slow/yandexgpt",
}
THINKS, TALKS, ENDS = MOMENTS.values()
TELLERS = (
    "SELECT pid, client_port, wait_event_type FROM pg_stat_activity "
    "WHERE application_name = 'xrouter-teller' AND datname = current_database()"
)
STORY = "[[tokens=40]][[chunks=20]][[delay_ms=20]]Рассказывай"


def tellers(installation: Installation) -> dict[int, dict[str, Any]]:
    """The database's processes that serve tellers, by their numbers."""
    return {row["pid"]: row for row in installation.query(TELLERS)}


def teller_of(installation: Installation, server: Server) -> int:
    """The one that serves the teller of ``server``; 0 if there is none."""
    process = psutil.Process(server.program.pid)
    # A port of ours may at the same time lead to a provider, and be another's towards the database.
    database = urlsplit(installation.database).port
    connections = [each for each in process.net_connections("tcp") if each.raddr]
    ports = {each.laddr.port for each in connections if each.raddr.port == database}
    found = [pid for pid, row in tellers(installation).items() if row["client_port"] in ports]
    return found[0] if found else 0


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process does nothing until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def locked(installation: Installation, wallet: Wallet) -> Iterator[None]:
    """Nobody can charge the wallet until the end of the block."""
    with psycopg.connect(installation.database) as connection:
        lock = "SELECT 1 FROM billing_account WHERE client_id = %s FOR UPDATE"
        connection.execute(lock, (wallet.client_id,))
        yield
        connection.rollback()


async def until(question: Any, seconds: float = 10) -> None:
    assert await asyncio.to_thread(wait_until, question, seconds)


async def streamed(server: Server, key: str, model: str, question: str) -> AsyncIterator[bytes]:
    """The pieces of an answer, of which the first has come."""
    line = await call(server, key, chat(model, question, stream=True, max_tokens=4000))
    assert await line.status() == 200
    pieces = line.pieces()
    await anext(pieces)
    return pieces


# --- Killed -----------------------------------------------------------------------------------------


async def kill_at_every_moment(
    installation: Installation, server: Server, twins: Twins, wallet: Wallet
) -> None:
    """Ask three models, so that each request is at another moment, and kill their worker."""
    thinking = await call(server, wallet.key, chat(THINKS, "[[tag=thinking]][[ttft_ms=30000]]Подумай"))
    await until(lambda: twins.journal("thinking"))
    talking = await streamed(server, wallet.key, TALKS, "[[tokens=4000]][[chunks=1000]][[delay_ms=20]]Говори")
    ending = await call(server, wallet.key, chat(ENDS, "[[tag=ending]][[ttft_ms=800]]Отвечай"))
    await until(lambda: twins.journal("ending"))
    teller = teller_of(installation, server)
    with locked(installation, wallet):
        await until(lambda: twins.journal("ending")[0]["outcome"] == "served")
        await until(lambda: tellers(installation)[teller]["wait_event_type"] == "Lock")
        server.program.kill()
        await until(lambda: teller not in tellers(installation))
    for left in (thinking, ending):
        await left.leave()
    await talking.aclose()


@pytest.fixture(scope="module")
def mortal(installation: Installation, twins: Twins) -> Wallet:
    """Of a client whose worker was killed with three requests, once the reaper has been there."""
    wallet = Wallet(installation, "Смертный")
    server = installation.start_web("mortal")
    asyncio.run(kill_at_every_moment(installation, server, twins, wallet))
    assert {hold["model_requested"] for hold in wallet.holds()} == set(MOMENTS.values())
    wallet.reap()
    return wallet


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_request_whose_worker_is_killed_expires_and_is_free(mortal: Wallet, moment: str):
    records = {record["model_requested"]: record for record in mortal.records()}

    assert (records[MOMENTS[moment]]["status"], records[MOMENTS[moment]]["cost"]) == ("expired", 0)


def test_a_killed_worker_leaves_the_wallet_whole(mortal: Wallet):
    assert (mortal.balance, mortal.held, mortal.charges()) == (1_000_000_000, 0, [])


# --- Frozen, and beside a database that is ----------------------------------------------------------


@pytest.fixture(scope="module")
def worker(installation: Installation, key: str) -> Server:
    return installation.start_web("worker")


@pytest.fixture(scope="module")
def wallet(installation: Installation) -> Wallet:
    """Of the client who asks this worker."""
    return Wallet(installation, "Стойкий")


async def test_an_answer_that_comes_after_its_hold_was_reaped_is_charged_once(worker: Server, wallet: Wallet):
    balance, charges = wallet.balance, wallet.charges()
    story = await streamed(worker, wallet.key, "slow/openai", STORY)
    with frozen(worker.program.pid):
        wallet.reap()
        reaped = wallet.records()[-1]
    async for _ in story:
        pass

    record = wallet.records()[-1]
    assert (reaped["status"], record["status"], record["id"]) == ("expired", "ok", reaped["id"])
    assert wallet.charges() == [*charges, record["cost"]]
    assert (wallet.balance, wallet.held) == (balance - record["cost"], 0)


async def test_an_answer_that_comes_late_takes_no_money_that_others_have_on_hold(
    worker: Server, wallet: Wallet
):
    balance = wallet.balance
    story = await streamed(worker, wallet.key, "slow/openai", STORY)
    with frozen(worker.program.pid):
        wallet.reap()
        others = wallet.set_aside(balance)
    async for _ in story:
        pass

    record, held = wallet.records()[-1], wallet.held
    wallet.release(others)
    assert (record["status"], record["cost"]) == ("ok", 0)
    assert (wallet.balance, held) == (balance, balance)


async def test_a_request_ends_though_the_database_falls_silent_when_it_is_charged(
    installation: Installation, worker: Server, twins: Twins, wallet: Wallet
):
    balance, charges = wallet.balance, wallet.charges()
    line = await call(worker, wallet.key, chat("slow/openai", "[[tag=silent]][[ttft_ms=500]]Привет"))
    await until(lambda: twins.journal("silent"))
    teller = teller_of(installation, worker)
    with frozen(teller):
        status = await line.status()
        await until(lambda: len(wallet.charges()) > len(charges))
    await until(lambda: teller not in tellers(installation))

    record = wallet.records()[-1]
    assert status == 200
    assert wallet.charges() == [*charges, record["cost"]]
    assert (wallet.balance, wallet.held) == (balance - record["cost"], 0)
    await line.leave()


async def test_a_hold_that_nobody_waits_for_any_more_does_not_stay(
    installation: Installation, worker: Server, wallet: Wallet
):
    ask(worker, wallet.key, chat("slow/openai", "Привет"))
    teller = teller_of(installation, worker)
    with frozen(teller):
        heard = await asyncio.to_thread(ask, worker, wallet.key, chat("slow/openai", "Привет"))
        await until(lambda: teller_of(installation, worker) not in {0, teller})
    await until(lambda: teller not in tellers(installation))

    assert heard.status == 503
    assert (wallet.held, wallet.holds()) == (0, [])
