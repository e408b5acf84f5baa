"""Providers whose names are asked of a name server that never answers: their own requests fail, and nobody
else's waits.
"""

import socket
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import new_client
from tests.e2e.stage import SILENT, UNHURRIED
from tests.e2e.talk import Heard, ask, chat

# Requests at once for each provider that has no address; half of them may be answered by a second provider.
EACH = 4
# Seconds in which others are served meanwhile on a busy machine: well below the time to connect.
SOON = 1.0


@pytest.fixture(scope="module")
def server(installation: Installation, name_server: socket.socket) -> Server:
    """A web process that has not looked up any name yet."""
    port = str(name_server.getsockname()[1])
    path = str(Path(__file__).parent / "silence")
    return installation.start_web("silence", PYTHONPATH=path, SILENT_PORT=port)


def asked_for(name_server: socket.socket) -> list[str]:
    """The names in the questions that have come since it was looked last."""
    names = []
    try:
        while True:
            names.append(name_server.recv(512).decode())
    except BlockingIOError:
        return names


def ping(server: Server) -> float:
    """Seconds the web process takes to say that it is alive."""
    began = time.monotonic()
    urllib.request.urlopen(f"{server.root}/healthz", timeout=10).close()  # noqa: S310
    return time.monotonic() - began


def test_names_that_nobody_answers_for_hold_up_nobody_else(
    installation: Installation, server: Server, name_server: socket.socket, others: Twins
):
    client = new_client(installation)

    def question(model: str, number: int = 0) -> Heard:
        body = chat(model, f"[[tag=silent]]{number}", stream=number % 2 == 0)
        return ask(server, client.key, body)

    models = [f"{kind}/{place}" for place in SILENT for kind in ("solo", "pair")] * (EACH // 2)
    with ThreadPoolExecutor(len(models)) as pool:
        lost: list[Future[Heard]] = [
            pool.submit(question, model, number) for number, model in enumerate(models)
        ]
        names: list[str] = []
        assert wait_until(lambda: names.extend(asked_for(name_server)) or len(names) >= len(SILENT))
        meanwhile, pings = [], []
        while not any(one.done() for one in lost):
            meanwhile.append(question("solo/named", len(meanwhile)))
            pings.append(ping(server))
    heard = [one.result() for one in lost]
    failed = [one for model, one in zip(models, heard, strict=True) if model.startswith("solo")]
    served = [one for model, one in zip(models, heard, strict=True) if model.startswith("pair")]

    assert {(one.status, one.provider) for one in meanwhile} == {(200, "named")}
    assert max(one.seconds for one in meanwhile) < SOON
    assert max(pings) < SOON
    assert {(one.status, one.code) for one in failed} == {(504, "provider_timeout")}
    assert {(one.status, one.provider) for one in served} == {(200, "b-openai")}
    assert max(one.seconds for one in heard) < UNHURRIED["connect"] + 2
    # Each is looked up once, however many wait for it.
    assert sorted(names + asked_for(name_server)) == sorted(SILENT.values())
    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == len(served) + len(meanwhile) == len(others.journal("silent"))
