"""``python -m providers.twins --port 9100``: serves the twins until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from providers.twins.dialect import Dialect
from providers.twins.flavours import GenT, MtsAI
from providers.twins.gigachat import GigaChat
from providers.twins.listener import BACKLOG, listening
from providers.twins.openai import OpenAI
from providers.twins.server import Twins
from providers.twins.tls import server_context
from providers.twins.yandexgpt import YandexGPT

FAMILIES: dict[str, Callable[[argparse.Namespace], Dialect]] = {
    "gigachat": lambda options: GigaChat(options.gigachat_ttl),
    "yandexgpt": lambda options: YandexGPT(options.iam_ttl),
    "mts-ai": lambda options: MtsAI(),
    "gen-t": lambda options: GenT(),
    "openai": lambda options: OpenAI(),
}


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m providers.twins", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--family", choices=FAMILIES, help="serve this one only, with and without its prefix")
    parser.add_argument("--delay-ms", type=float, default=0, help="between two events of a stream")
    parser.add_argument("--gigachat-ttl", type=float, default=1800, help="seconds a token lives")
    parser.add_argument("--iam-ttl", type=float, default=43_200, help="seconds a token lives")
    parser.add_argument("--keepalive-idle", type=float, default=75, help="seconds an idle connection lives")
    parser.add_argument("--backlog", type=int, default=BACKLOG)
    parser.add_argument("--tls-ca", type=Path, help="speak TLS, and write here whom to trust (PEM)")
    parser.add_argument("--tls-name", help="whom the certificate is for, if not the host")
    return parser.parse_args(arguments)


async def serve(chosen: argparse.Namespace) -> None:
    """Serve until told to stop. Raises OSError if the port is taken."""
    families = [chosen.family] if chosen.family else list(FAMILIES)
    dialects = [FAMILIES[family](chosen) for family in families]
    twins = Twins(dialects, delay=chosen.delay_ms / 1000, rooted=bool(chosen.family))
    tls = server_context(chosen.tls_name or chosen.host, chosen.tls_ca) if chosen.tls_ca else None
    idle = chosen.keepalive_idle
    async with listening(twins, chosen.host, chosen.port, backlog=chosen.backlog, idle=idle, tls=tls) as port:
        scheme = "https" if tls else "http"
        sys.stdout.write(f"twins: {', '.join(families)} on {scheme}://{chosen.host}:{port}\n")
        sys.stdout.flush()
        # Else the collector would look through their long journal again and again, and all vendors would
        # stand still for a tenth of a second together.
        gc.set_threshold(50_000, 20, 20)
        await _told_to_stop()


async def _told_to_stop() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()


def main() -> int:
    chosen = options(sys.argv[1:])
    try:
        uvloop.run(serve(chosen))
    except OSError as problem:
        sys.stderr.write(f"twins: cannot listen on {chosen.host}:{chosen.port}: {problem.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
