"""One web process. Its listening socket is its standard input, shared with its siblings."""

import os
import socket

import uvicorn

# Seconds that open answers have to end once we are told to stop.
DRAIN = 60
# Milliseconds for which a customer may read nothing of what we write. The kernel then closes the connection,
# with what is still in our buffers: of an answer that was written whole nobody else would know.
STALLED_MS = 60_000


def main() -> None:
    config = uvicorn.Config(
        "xrouter.asgi:application",
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,  # Django's: one JSON object a line
        server_header=False,
        proxy_headers=False,  # whom to believe about X-Forwarded-For is a setting of ours
        timeout_graceful_shutdown=DRAIN,
    )
    # Not by uvicorn's own "fd": that takes it for a Unix socket, and TCP_NODELAY stays off.
    listener = socket.socket(fileno=os.dup(0))
    # What it accepts inherits it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
