"""What the web server runs: the express lane for inference, Django for everything else."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

# Models can be imported only now.
from django.conf import settings  # noqa: E402

from routing import express, plane  # noqa: E402

LANES = {"/v1/chat/completions": express.chat} if settings.XROUTER_EXPRESS else {}


async def application(scope, receive, send):
    """ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html"""
    if scope["type"] == "http":
        if scope["path"] == "/healthz":
            await _alive(send)
            return
        lane = LANES.get(scope["path"])
        if lane is not None and scope["method"] == "POST":
            await lane(plane.current().desk, scope, receive, send)
            return
        await express.read_first(django, scope, receive, send)
    elif scope["type"] == "lifespan":
        await _live(receive, send)


async def _alive(send):
    # Beside Django, so that it tells of this process and of nothing else. It listens only once it can serve.
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


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
    gc.set_threshold(50_000, 20, 20)
