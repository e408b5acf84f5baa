"""Addresses no provider should have: where nobody accepts, where nobody speaks, and some whose certificates
are not to be trusted.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# What a server says that does not like a greeting, in TLS: a fatal alert, failure of the handshake.
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


@contextmanager
def hole() -> Iterator[int]:
    """A port where connections are neither accepted nor refused: the queue behind it is full."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # the kernel takes one or two more than it is told
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield int(address[1])


@contextmanager
def mute() -> Iterator[int]:
    """A port where connections are made, but nobody reads or says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


@contextmanager
def gruff(said: bytes) -> Iterator[int]:
    """A port where whoever greets is told ``said``, and reset if that is nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(1 << 16)
        if said:
            writer.write(said)
            writer.close()
            return
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    with _serving(serve) as port:
        yield port


@dataclass
class Front:
    """TLS in front of a plain port, under a certificate signed by itself."""

    port: int
    certificate: str  # PEM
    received: int = 0  # bytes that came through a finished handshake


@contextmanager
def front(behind: int, name: str, directory: Path) -> Iterator[Front]:
    """Serve ``behind`` over TLS; the certificate is for ``name``, an address or a host."""
    certificate, key_file = _certificate(name, directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key_file)
    shown = Front(0, certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", behind)
        back = asyncio.create_task(_copy(inner, writer))
        shown.received += await _copy(reader, outer)
        await back

    with _serving(serve, context) as shown.port:
        yield shown


@contextmanager
def _serving(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of this machine, served in a thread of its own."""
    ready: Future[tuple[int, Callable[[], object]]] = Future()

    async def live() -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        ready.set_result((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(end.set)))
        await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    port, stop = ready.result()
    try:
        yield port
    finally:
        stop()
        thread.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    size = 0
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            size += len(data)
            writer.write(data)
            await writer.drain()
    writer.close()
    return size


def _certificate(name: str, directory: Path) -> tuple[str, Path]:
    """A certificate in PEM, and a file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    shown = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([shown]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = directory / f"{name}.pem"
    path.write_text(private + certificate)
    return certificate, path
