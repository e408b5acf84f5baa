"""Where a webhook may lead: to the public internet, or where an operator allows; what receivers can do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Event, Thread

import pytest

from billing import outside
from billing.outside import BadAddress, NotSent, Target, addresses_of, may_ask, post, target_of
from providers.twins.tls import server_context

NOWHERE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *(
        "100.64.0.1",
        "100.100.100.200",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::"),
]


@pytest.mark.parametrize("text", NOWHERE)
def test_nothing_that_is_not_public_is_asked(text):
    assert not may_ask(ip_address(text), is_secure=True)
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(BadAddress):
        target_of(f"https://{host}/hook")


@pytest.mark.parametrize("text", ["8.8.8.8", "93.184.215.14", "2a00:1450:4010::64", "::ffff:8.8.8.8"])
def test_public_addresses_are_asked_by_https_only(text):
    assert may_ask(ip_address(text), is_secure=True)
    assert not may_ask(ip_address(text), is_secure=False)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.ru", "http://example.ru/", "ftp://example.ru/", "file:///etc/passwd", "https://"),
        *("https://user:secret@example.ru/", "https://example.ru/#x", "https://example.ru:22/"),
        *("https://example.ru:99999/", "https://localhost/", "https://redis:6379/", "https://exa mple.ru/"),
        *("https://example.ru/\r\nHost: x", "https://пример.рф/", "https://[::1/", "https://example.ru\\@x/"),
        "https://example.ru/" + "x" * 500,
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused_at_once(url):
    with pytest.raises(BadAddress):
        target_of(url)


def test_an_address_is_read_as_it_will_be_asked():
    assert target_of("https://example.ru:8443/a?b=c") == Target(True, "example.ru", 8443, "/a?b=c")
    assert target_of("https://EXAMPLE.ru") == Target(True, "example.ru", 443, "/")


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_a_name_that_leads_inside_is_not_followed(host):
    """Not even one that is another spelling of an address, which the system's resolver knows."""
    with pytest.raises(NotSent):
        addresses_of(Target(True, host, 443, "/"))


def test_of_several_addresses_all_have_to_be_public(monkeypatch):
    found = [(0, 0, 0, "", (text, 443)) for text in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)

    with pytest.raises(NotSent):
        addresses_of(Target(True, "example.ru", 443, "/"))


# --- A receiver --------------------------------------------------------------------------------------


class Receiver(BaseHTTPRequestHandler):
    """Answers what its path says."""

    def do_POST(self) -> None:
        self.server.got.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
        if self.path == "/slow":
            self.wfile.write(b"H")
            self.server.is_over.wait(30)
            return
        if self.path == "/thinks":
            self.server.is_over.wait(0.6)
            self.send_response(200)
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/200")
        else:
            self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, *said: object) -> None:
        pass


@contextmanager
def receiving(context=None) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    server.got, server.is_over = [], Event()
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.is_over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def receiver(settings):
    settings.XROUTER_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with receiving() as server:
        yield server


def at(server: ThreadingHTTPServer, path: str, scheme: str = "http", host: str = "127.0.0.1") -> Target:
    return target_of(f"{scheme}://{host}:{server.server_port}{path}")


@pytest.mark.parametrize(("path", "status"), [("/200", 200), ("/503", 503), ("/away", 302)])
def test_the_status_is_told_and_nothing_is_followed(receiver, path, status):
    assert post(at(receiver, path), b"{}", {"X-Test": "1"}) == status
    [(headers, body)] = receiver.got
    assert (headers["X-Test"], body) == ("1", b"{}")
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"


def test_who_trickles_is_cut_off(receiver, monkeypatch):
    monkeypatch.setattr(outside, "TOTAL", 0.2)

    with pytest.raises(NotSent, match="не ответил вовремя"):
        post(at(receiver, "/slow"), b"{}", {})


def test_who_has_connected_may_think_until_the_end(receiver, monkeypatch):
    monkeypatch.setattr(outside, "PATIENCE", 0.2)

    assert post(at(receiver, "/thinks"), b"{}", {}) == 200


def test_who_thinks_for_longer_is_told_to_be_late(receiver, monkeypatch):
    monkeypatch.setattr(outside, "TOTAL", 0.2)

    with pytest.raises(NotSent, match="не ответил вовремя"):
        post(at(receiver, "/thinks"), b"{}", {})


def test_a_network_of_the_operators_opens_nothing_else(receiver):
    with pytest.raises(BadAddress):
        target_of("https://10.0.0.1/hook")
    with pytest.raises(NotSent):
        addresses_of(Target(False, "8.8.8.8", 80, "/"))


def test_nobody_listens(settings):
    settings.XROUTER_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        with pytest.raises(NotSent):
            post(target_of(f"http://127.0.0.1:{taken.getsockname()[1]}/"), b"{}", {})


def test_a_certificate_has_to_be_the_names(settings, tmp_path, monkeypatch):
    settings.XROUTER_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    authority = tmp_path / "authority.pem"
    with receiving(server_context("localhost", authority)) as server:
        named, other = at(server, "/200", "https", "localhost"), at(server, "/200", "https", "127.0.0.1")
        with pytest.raises(NotSent, match="Сертификат"):
            post(named, b"{}", {})
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))

        assert post(named, b"{}", {}) == 200
        with pytest.raises(NotSent, match="Сертификат"):
            post(other, b"{}", {})
