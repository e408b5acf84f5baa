"""/metrics over two web processes: exact sums, also when one was killed and another has taken its place."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.installation import START, Installation, Server, wait_until
from tests.e2e.talk import ask, chat, post

MODEL = "solo/openai"


@pytest.fixture(scope="module")
def pair(installation: Installation, key: str, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Two web processes that share figures with nobody else."""
    directory = tmp_path_factory.mktemp("metrics")
    return installation.start_web("pair", workers=2, XROUTER_METRICS_DIR=str(directory))


@pytest.fixture
def directory(pair: Server) -> Path:
    return Path(psutil.Process(pair.program.pid).environ()["XROUTER_METRICS_DIR"])


def workers(server: Server) -> list[int]:
    """The process numbers of those that serve."""
    children = psutil.Process(server.program.pid).children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in alive if "multiprocessing.spawn" in " ".join(child.cmdline())]


@contextmanager
def only(pid: int, server: Server) -> Iterator[None]:
    """No other process of the server serves until the end of the block."""
    others = [other for other in workers(server) if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def figures(server: Server) -> dict[str, float]:
    lines = requests.get(f"{server.root}/metrics", timeout=10).text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def answered(server: Server, streamed: str = "false") -> float:
    labels = f'error="",model="{MODEL}",status="2xx",streamed="{streamed}"'
    return figures(server).get(f"xrouter_requests_total{{{labels}}}", 0)


def test_both_processes_are_in_the_sums(pair: Server, key: str):
    before = answered(pair), answered(pair, "true")
    asked = 0
    for pid in workers(pair):
        with only(pid, pair):
            asked += 3
            for _ in range(3):
                assert ask(pair, key, chat(MODEL, "Привет")).status == 200
                assert ask(pair, key, chat(MODEL, "Привет", stream=True)).is_done

    assert (answered(pair) - before[0], answered(pair, "true") - before[1]) == (asked, asked) == (6, 6)


def test_either_process_shows_the_same(pair: Server, key: str):
    ask(pair, key, chat(MODEL, "Привет"))
    pages = []
    for pid in workers(pair):
        with only(pid, pair):
            pages.append(answered(pair))

    assert len(set(pages)) == 1


def test_counters_do_not_go_back_when_a_process_is_killed(pair: Server, key: str, directory: Path):
    victim, survivor = workers(pair)
    with only(victim, pair):
        ask(pair, key, chat(MODEL, "Привет"))
    before, files = figures(pair), sorted(directory.iterdir())

    os.kill(victim, signal.SIGKILL)
    assert wait_until(lambda: figures(pair)["xrouter_workers"] == 1, 20)
    assert wait_until(lambda: figures(pair)["xrouter_workers"] == 2, START)
    [successor] = set(workers(pair)) - {survivor}
    with only(successor, pair):
        ask(pair, key, chat(MODEL, "Привет"))

    after = figures(pair)
    counters = [
        name for name in before if name.split("{")[0].endswith(("_total", "_count", "_sum", "_bucket"))
    ]
    assert [name for name in counters if after[name] < before[name]] == []
    label = f'xrouter_requests_total{{error="",model="{MODEL}",status="2xx",streamed="false"}}'
    assert after[label] - before[label] == 1
    assert sorted(directory.iterdir()) == files


def test_who_is_refused_is_counted_and_his_words_are_not(pair: Server, key: str):
    post(pair, key, chat("no/such-model-4711", "Привет"))
    post(pair, "xr-live-nobody-4711", chat(MODEL, "Привет"))

    page = figures(pair)
    assert not [name for name in page if "4711" in name]
    for error in ("model_not_found", "invalid_api_key"):
        assert [name for name in page if f'error="{error}",model="",status="4xx",streamed=""' in name]


def test_the_workers_tell_of_themselves(pair: Server, key: str):
    ask(pair, key, chat(MODEL, "Привет"))

    assert wait_until(lambda: figures(pair)["xrouter_teller_settlements_total"] > 0)
    page = figures(pair)
    assert (page["xrouter_workers"], page["xrouter_redis_away"]) == (2, 0)
    assert page["xrouter_teller_batch_size_sum"] >= page["xrouter_teller_settlements_total"]
    assert page["xrouter_snapshot_timestamp_seconds"] > 1_700_000_000
    assert page["xrouter_oldest_hold_seconds"] >= 0
