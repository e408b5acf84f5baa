"""``make bench``: what one request costs the web process in CPU time, beside a provider that costs nothing.

One web worker, a provider without delay, real PostgreSQL and Redis. CPU is read from the kernel's account of
the web process (user + system), so that the load generator beside it does not count.
"""

import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import uvloop

MODEL = "bench/model"
VECTORS = "bench/vectors"
ROOMY = "bench/roomy"  # takes prompts of any length
MODELS = {"base64": VECTORS, "float": VECTORS, "long": ROOMY, "tools": ROOMY}
WARM_UP = 2
SECONDS = 10
CONNECTIONS = 32
STREAMS = 500
CHUNKS = 40
STREAM_GAP = 0.02
# Milliseconds that no request costs less than.
LEAST = 0.05
# Requests that carry more than a question, by four connections, and a plain one to stand beside them.
LARGE = {
    "whole": "a plain question",
    "long": "a prompt of 100 kB",
    "tools": "tools with 20 kB of schemas",
    "base64": "embeddings of 100 inputs, base64",
    "float": "embeddings of 100 inputs, float",
}

ROW = "{:34}{:>16}{:>16}{:>12}{:>12}"
PART_ROW = "{:34}{:>16}{:>16}{:>12}{:>18}"


def main() -> None:
    upstream_port, port = free_port(), free_port()
    key = prepare(upstream_port)
    url = f"http://127.0.0.1:{port}"
    with running("tests.bench.upstream", str(upstream_port)), web(port) as process:
        wait_for(f"{url}/healthz")
        print(f"{machine()}; one web worker, a provider without delay\n", flush=True)
        load(url, key, "whole", CONNECTIONS, WARM_UP)
        whole = measured(process, lambda: load(url, key, "whole", CONNECTIONS, SECONDS))
        load(url, key, "stream", STREAMS, 0)
        stream = measured(process, lambda: load(url, key, "stream", STREAMS, 0))
        rest = load(url, key, "whole", 1, WARM_UP)
        large = {}
        for kind in LARGE:
            load(url, key, kind, 1, WARM_UP / 2)
            large[kind] = measured(process, lambda kind=kind: load(url, key, kind, 4, SECONDS / 2))
    report(whole, stream, rest)
    report_large(large)
    uvloop.run(report_parts())


def report(whole: dict, stream: dict, rest: dict) -> None:
    chunks = stream["requests"] * CHUNKS
    over = stream["seconds"] - CHUNKS * STREAM_GAP
    print(ROW.format("", "CPU", "rate", "p50", "p99"))
    cost = f"{whole['cpu'] * 1000 / whole['requests']:.3f} ms"
    print(ROW.format(f"whole answers, {CONNECTIONS} connections", cost, *pace(whole, whole["requests"])))
    cost = f"{stream['cpu'] * 1e6 / chunks:.1f} µs/chunk"
    print(ROW.format(f"{STREAMS} streams of {CHUNKS} chunks", cost, *pace(stream, chunks)))
    print(ROW.format("whole answers, one at a time", "", *pace(rest, rest["requests"])))
    print(f"\nstreams took {stream['seconds']:.2f} s: {over:.2f} s over the ideal")
    print(f"memory: {whole['rss']:.0f} MB after whole answers, {stream['rss']:.0f} MB after streams")


def report_large(large: dict) -> None:
    print()
    for kind, result in large.items():
        cost = f"{result['cpu'] * 1000 / result['requests']:.2f} ms"
        print(ROW.format(LARGE[kind], cost, *pace(result, result["requests"])))


async def report_parts() -> None:
    """Money and limits by themselves, under load and at rest; planning and health, which wait for nobody."""
    from django.conf import settings

    from accounts.models import ApiKey
    from routing.bridge import in_thread
    from routing.plane import database
    from tests.bench.outcomes import counting
    from tests.bench.parts import limits, money
    from tests.bench.plans import planning

    key = await in_thread(ApiKey.objects.latest, "pk")
    print()
    print(PART_ROW.format("of which, by itself", "CPU here", "CPU database", "p50", "requests a batch"))
    for users in (CONNECTIONS, 1):
        part, share = await money(database(), key.client_id, key.pk, users)
        print(PART_ROW.format(f"money, {users} at once", *figures(part), f"{share:.1f}"))
        part = await limits(settings.REDIS_URL, users)
        print(PART_ROW.format(f"limits, {users} at once", *figures(part), ""))
    for name, cpu in {**planning(), **counting()}.items():
        print(PART_ROW.format(name, f"{cpu / 1000:.3f} ms", "", "", ""))


def figures(part) -> list[str]:
    return [f"{part.cpu:.3f} ms", f"{part.database:.3f} ms" if part.database else "", f"{part.wait:.1f} ms"]


def pace(result: dict, things: int) -> list[str]:
    return [f"{things / result['seconds']:.0f}/s", f"{result['p50']:.1f} ms", f"{result['p99']:.1f} ms"]


def machine() -> str:
    with open("/proc/cpuinfo") as info:
        names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    python, today = platform.python_version(), datetime.now(UTC).date()
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {python}, {today}"


def prepare(upstream_port: int) -> str:
    """A database with one model at the bench provider; returns an API key."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from providers.models import Credential, Provider
    from routing.models import Endpoint, Model
    from tests.builders import make_client, make_key, make_tariff

    provider = Provider.objects.create(
        slug="bench", name="Bench", adapter="openai", base_url=f"http://127.0.0.1:{upstream_port}/v1"
    )
    credential = Credential(provider=provider, label="bench", slots=2 * STREAMS)
    credential.seal({"api_key": "bench"})
    credential.save()
    model = Model.objects.create(
        slug=MODEL, name="Bench", tariff=make_tariff(), context_length=1000, max_output=1000
    )
    Endpoint.objects.create(model=model, provider=provider, upstream_name="bench")
    roomy = Model.objects.create(
        slug=ROOMY, name="Bench", tariff=make_tariff(), context_length=1_000_000, max_output=1000
    )
    Endpoint.objects.create(model=roomy, provider=provider, upstream_name="bench")
    facts = {"kind": "embeddings", "context_length": 1000, "max_output": 0}
    vectors = Model.objects.create(slug=VECTORS, name="Bench", tariff=make_tariff(), **facts)
    Endpoint.objects.create(model=vectors, provider=provider, upstream_name="bench", tools="none")
    # Its limits are counted like anybody's, but high enough never to be reached.
    return make_key(make_client(balance="1000000", requests_per_second=5_000, concurrent_requests=1_000))[1]


def measured(process: psutil.Process, work) -> dict:
    before = process.cpu_times()
    result = work()
    after = process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    if cpu * 1000 < LEAST * result["requests"]:
        raise SystemExit(f"another process was measured: {cpu:.2f} s for {result['requests']} requests")
    return {**result, "cpu": cpu, "rss": process.memory_info().rss / 2**20}


def load(url: str, key: str, kind: str, connections: int, seconds: float) -> dict:
    command = [
        sys.executable,
        "-m",
        "tests.bench.load",
        url,
        key,
        MODELS.get(kind, MODEL),
        kind,
        str(connections),
        str(seconds),
    ]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@contextmanager
def running(*command: str, stdin: int | None = None) -> Iterator[psutil.Process]:
    quiet = {**os.environ, "XROUTER_LOG_LEVEL": "WARNING"}
    child = subprocess.Popen([sys.executable, "-m", *command], stdin=stdin, env=quiet)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


@contextmanager
def web(port: int) -> Iterator[psutil.Process]:
    """One web process as it is in production, listening at ``port``."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    with listener, running("xrouter.web", stdin=listener.fileno()) as process:
        yield process


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the web process did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
