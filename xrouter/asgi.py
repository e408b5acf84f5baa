"""What the web server runs: the express lane for inference, Django for everything else."""

import asyncio
import gc
import logging
import os
from functools import partial

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

from monitoring import sharing

# Before anything is declared that counts. Where there is no room for figures requests are served without.
try:
    if settings.XROUTER_METRICS_DIR:
        sharing.begin(settings.XROUTER_METRICS_DIR)
    unshared = ""
except OSError as exc:
    unshared = str(exc)

django = get_asgi_application()

# Models can be imported only now.
from routing import express, plane  # noqa: E402
from routing.desk import INFERENCE  # noqa: E402
from xrouter.scrape import Gate  # noqa: E402

if unshared:
    logging.getLogger(__name__).error("metrics of this process are not shown", extra={"error": unshared})

LANES = INFERENCE if settings.XROUTER_EXPRESS else {}


def _gate():
    return Gate.of(
        settings.XROUTER_METRICS_NETWORKS, settings.XROUTER_TRUSTED_PROXIES, settings.XROUTER_METRICS_TOKEN
    )


_gate()  # a network that is none stops the start


def at_a_glance(peer, url, headers):
    """The refusal of a request that is not worth the application's time; None: it is to be served."""
    return plane.current().porter.glance(peer, url, headers)


async def application(scope, receive, send):
    """ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html"""
    if scope["type"] == "http":
        if scope["path"] == "/healthz":
            await _alive(send)
            return
        lane = LANES.get(scope["path"])
        if lane is not None and scope["method"] == "POST":
            await express.serve(partial(lane, plane.current().desk), scope, receive, send)
            return
        if scope["path"] == "/metrics" and scope["method"] == "GET" and _gate().lets_in(scope):
            await _tell(send)
            return
        await express.read_first(django, scope, receive, send)
    elif scope["type"] == "lifespan":
        await _live(receive, send)


async def _alive(send):
    # Beside Django, so that it tells of this process and of nothing else. It listens only once it can serve.
    await _answer(send, b"text/plain", b"ok\n")


async def _tell(send):
    # To strangers it is a page that does not exist: they are answered by Django.
    page = await asyncio.to_thread(sharing.page, settings.XROUTER_METRICS_DIR)
    await _answer(send, sharing.CONTENT_TYPE.encode(), page)


async def _answer(send, content_type, body):
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive, send):
    await receive()
    try:
        opened = await plane.opened()
    except Exception as exc:  # noqa: BLE001 - whatever it is, the server must hear that we cannot start
        await send({"type": "lifespan.startup.failed", "message": f"{type(exc).__name__}: {exc}"})
        return
    _spare_the_collector()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await opened.close()
    await send({"type": "lifespan.shutdown.complete"})


def _spare_the_collector():
    # What was made at start stays for good: looking through it again and again cost a sixth of the CPU per
    # request, and pauses that showed in the slowest hundredth of answers (docs/benchmark.md).
    gc.collect()
    gc.freeze()
    # Answers leave nothing to collect; a collection in the middle of thousands of connections, which are all
    # looked through, took up to 90 ms. What waits for it is some 30 MB at the most, by 120 bytes each.
    gc.set_threshold(250_000, 20, 20)
