"""Requests to addresses that customers gave us: by HTTPS, to the public internet, and to nowhere else.

A name is resolved once, every address it has is looked at, and the connection goes to the one that was looked
at: a name that changes meanwhile leads nowhere else. Nothing is redirected, no proxy is asked, no answer is
read beyond its status. Operators may name networks of theirs (``XROUTER_WEBHOOK_NETWORKS``); none by default.
"""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Timer
from urllib.parse import urlsplit

import certifi
from django.conf import settings
from django.utils.translation import gettext_noop

Address = IPv4Address | IPv6Address

# Seconds: for a connection, and for all of it, the answer included: whoever connects may think until the end.
PATIENCE = 5.0
TOTAL = 10.0
LONGEST_URL = 500
# Below these only well-known services listen, which nobody's webhook is.
FIRST_PORT = 1024
# IPv6 networks whose addresses stand for IPv4 ones: "compatible", NAT64, Teredo, 6to4.
DISGUISES = [
    ip_network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
]

NO_URL = gettext_noop("Это не адрес: нужен, например, https://example.ru/xrouter.")
NO_HTTPS = gettext_noop("Адрес должен начинаться с https://.")
NO_PORT = gettext_noop("Порт — 443 или от 1024 до 65535.")
TOO_LATE = gettext_noop("Узел не ответил вовремя.")
BAD_CERTIFICATE = gettext_noop("Сертификат узла не принят.")
BROKEN = gettext_noop("Соединение не удалось или прервалось.")
NOT_PUBLIC = gettext_noop("Такой адрес не в публичном интернете: туда мы не обращаемся.")


class BadAddress(ValueError):
    """The text is a sentence for who gave the address."""


class NotSent(Exception):
    """No answer came. The text is a sentence for the log of deliveries, without what others sent."""


@dataclass(frozen=True, slots=True)
class Target:
    is_secure: bool
    host: str
    port: int
    path: str


def target_of(url: str) -> Target:
    """Where ``url`` leads, as far as it can be known without asking anybody. Raises BadAddress."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise BadAddress(NO_URL) from exc
    is_odd = not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > LONGEST_URL
    if is_odd or not host or parts.username is not None or parts.fragment:
        raise BadAddress(NO_URL)
    is_secure = parts.scheme == "https"
    if not is_secure and not (parts.scheme == "http" and settings.XROUTER_WEBHOOK_NETWORKS):
        raise BadAddress(NO_HTTPS)
    usual = 443 if is_secure else 80
    port = usual if port is None else port
    if port != usual and port < FIRST_PORT:
        raise BadAddress(NO_PORT)
    _look_at_name(host, is_secure=is_secure)
    return Target(is_secure, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def addresses_of(target: Target) -> list[Address]:
    """Where its name leads now. Raises NotSent, also if a single one of them may not be asked."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotSent(gettext_noop("Имя узла не найдено.")) from exc
    addresses = [ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    if not all(may_ask(address, is_secure=target.is_secure) for address in addresses):
        raise NotSent(NOT_PUBLIC)
    return addresses


def may_ask(address: Address, *, is_secure: bool) -> bool:
    """Without TLS only in the networks that an operator has named."""
    plain = getattr(address, "ipv4_mapped", None) or address
    ours = any(plain in ip_network(text) for text in settings.XROUTER_WEBHOOK_NETWORKS)
    return ours or (is_secure and _is_public(plain))


def post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. Raises NotSent."""
    connection = _Pinned(target, addresses_of(target)[0])
    # Each read has a time-out of its own: who answers a byte at a time is cut off here.
    guard = Timer(TOTAL, connection.cut)
    guard.daemon = True
    guard.start()
    try:
        connection.request("POST", target.path, body, {**headers, "Connection": "close"})
        return connection.getresponse().status
    except ssl.SSLError as exc:
        raise NotSent(TOO_LATE if connection.was_cut else BAD_CERTIFICATE) from exc
    except (OSError, HTTPException, ValueError) as exc:
        is_late = connection.was_cut or isinstance(exc, TimeoutError)
        raise NotSent(TOO_LATE if is_late else BROKEN) from exc
    finally:
        guard.cancel()
        connection.close()


class _Pinned(HTTPConnection):
    """To one address, whatever the name leads to by now; the certificate has to be the name's."""

    def __init__(self, target: Target, address: Address) -> None:
        super().__init__(target.host, target.port, timeout=PATIENCE)
        self.default_port = 443 if target.is_secure else 80
        self._is_secure = target.is_secure
        self._address = str(address)
        self.was_cut = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._is_secure:
            self.sock = _trusting().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        self.sock.settimeout(TOTAL)

    def cut(self) -> None:
        self.was_cut = True
        with suppress(OSError, AttributeError):
            # The socket's own: of TLS's another thread is reading.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _look_at_name(host: str, *, is_secure: bool) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        if "." not in host.rstrip(".") and not settings.XROUTER_WEBHOOK_NETWORKS:
            raise BadAddress(NOT_PUBLIC) from None
        return
    if not may_ask(address, is_secure=is_secure):
        raise BadAddress(NOT_PUBLIC)


def _is_public(address: Address) -> bool:
    is_disguised = address.version == 6 and any(address in network for network in DISGUISES)
    return address.is_global and not (is_disguised or address.is_multicast or address.is_reserved)
