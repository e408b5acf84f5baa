"""Bytes over a socket, for what no HTTP client would send."""

import json
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.e2e.installation import Server

# Seconds for a server to say something, on a busy machine.
PATIENCE = 20.0


@dataclass(frozen=True)
class Reply:
    """What came first. Status 0: the connection was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The kind of the error, as programs are told."""
        return str(self.json["error"]["metadata"]["error_type"])


def request(target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """One request, after which the connection is to be closed. ``fields`` are header lines."""
    size = [f"Content-Length: {len(body)}"] if body else []
    named = [] if any(field.lower().startswith("host:") for field in fields) else ["Host: 127.0.0.1"]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *named, *fields, *size, "Connection: close"])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def said(server: Server, data: bytes | Iterable[bytes], *, is_all: bool = False) -> list[Reply]:
    """Every reply to ``data`` until the server closes the connection.

    ``is_all``: our side is closed, too, once everything is sent.
    """
    with socket.create_connection(server.address, timeout=PATIENCE) as line:
        # Whoever refuses does not read to the end.
        with suppress(ConnectionError):
            for piece in (data,) if isinstance(data, bytes) else data:
                line.sendall(piece)
            if is_all:
                line.shutdown(socket.SHUT_WR)
        return list(_replies(_heard(line)))


def one(server: Server, data: bytes | Iterable[bytes], *, is_all: bool = False) -> Reply:
    """The first reply of ``said``."""
    return next(iter(said(server, data, is_all=is_all)), Reply(0, {}, b""))


def _heard(line: socket.socket) -> bytes:
    heard = b""
    with suppress(ConnectionError):
        while piece := line.recv(1 << 16):
            heard += piece
    return heard


def _replies(heard: bytes) -> Iterable[Reply]:
    while heard:
        head, _, heard = heard.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        pairs = (field.partition(":") for field in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length", len(heard)))
        yield Reply(int(first.split(" ", 2)[1]), headers, heard[:size])
        heard = heard[size:]
