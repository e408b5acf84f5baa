"""Five hundred streams at once on one web process: every one whole, and what it cost in memory and time."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import MICRO, new_client
from tests.e2e.talk import call, chat, texts

STREAMS = 500
CHUNKS = 40
EVERY = 0.02  # seconds
IDEAL = (CHUNKS - 1) * EVERY
TEXT = "Ёжик в тумане 🦔 шёл к медвежонку считать звёзды; «съешь же ещё этих мягких булок» — сказал он. " * 2


@dataclass(frozen=True)
class Stream:
    """One finished stream: the body as it came, and seconds from the question."""

    number: int
    body: bytes
    first: float
    last: float

    @property
    def overshoot(self) -> float:
        """By how much it took longer than the provider's own pace, in seconds."""
        return self.last - self.first - IDEAL

    def is_whole(self) -> bool:
        pieces = list(texts(self.body))
        return (
            len(pieces) == CHUNKS
            and "".join(pieces) == said(self.number)
            and self.body.count(b'"finish_reason":"stop"') == 1
            and self.body.endswith(b"data: [DONE]\n\n")
            and b'"error"' not in self.body
        )


def said(number: int) -> str:
    return f"{number}: {TEXT}"


async def stream(server: Server, key: str, number: int) -> Stream:
    question = f"[[echo]][[chunks={CHUNKS}]][[delay_ms={EVERY * 1000:.0f}]]{said(number)}"
    began = time.perf_counter()
    line = await call(server, key, chat("slow/openai", question, stream=True))
    assert await line.status() == 200
    moments, pieces = [], []
    async for piece in line.pieces():
        moments.append(time.perf_counter() - began)
        pieces.append(piece)
    await line.leave()
    return Stream(number, b"".join(pieces), moments[0], moments[-1])


async def test_five_hundred_streams_are_exact(
    installation: Installation, express: Server, reports: Path, record_property: Any
):
    key = new_client(installation, 100_000 * MICRO).key  # all within one second are within its limits
    await stream(express, key, 0)
    process = psutil.Process(express.program.pid)
    before, cpu = process.memory_info().rss, cpu_of(process)

    streams = await asyncio.gather(*(stream(express, key, number) for number in range(STREAMS)))

    report = told(streams, before, process.memory_info().rss, cpu_of(process) - cpu)
    (reports / "streams.json").write_text(json.dumps(report, indent=2))
    record_property("streams", report)
    print(f"\n{STREAMS} streams of {CHUNKS} chunks each {EVERY * 1000:.0f} ms: {json.dumps(report)}")  # noqa: T201
    assert [one.number for one in streams if not one.is_whole()] == []
    assert report["rss_after_mb"] - report["rss_before_mb"] < 200
    assert report["overshoot_p99_ms"] < 5000
    assert wait_until(lambda: all_recorded(installation))


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def told(streams: Sequence[Stream], before: int, after: int, cpu: float) -> dict[str, float]:
    """The measurements. Times are against the provider's own pace."""
    over = sorted(one.overshoot * 1000 for one in streams)
    firsts = sorted(one.first * 1000 for one in streams)
    return {
        "ideal_ms": IDEAL * 1000,
        "overshoot_p50_ms": round(over[len(over) // 2]),
        "overshoot_p99_ms": round(over[len(over) * 99 // 100]),
        "first_p50_ms": round(firsts[len(firsts) // 2]),
        "first_p99_ms": round(firsts[len(firsts) * 99 // 100]),
        "rss_before_mb": before >> 20,
        "rss_after_mb": after >> 20,
        "cpu_us_per_chunk": round(cpu * 1e6 / (STREAMS * CHUNKS)),
    }


def all_recorded(installation: Installation) -> bool:
    """Whether each stream has its record, with a good end."""
    rows = installation.query(
        "SELECT count(*) AS good FROM billing_generation WHERE model = 'slow/openai' AND streamed "
        "AND status = 'ok' AND finish_reason = 'stop' AND tokens_completion > 40"
    )
    return bool(rows[0]["good"] >= STREAMS)
