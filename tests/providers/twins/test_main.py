"""The program itself: started, asked, stopped."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from providers.twins.__main__ import options


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The program, and the address it says it listens on."""
    command = [sys.executable, "-m", "providers.twins", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().rpartition(" ")[2].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


def test_one_family_is_served_without_its_prefix_too():
    body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "Привет"}]}).encode()

    with running("--port", "0", "--family", "gen-t") as (process, address):
        for path in ("/v1/chat/completions", "/gen-t/v1/chat/completions"):
            with urllib.request.urlopen(address + path, data=body) as response:  # noqa: S310
                assert response.headers["X-Twin"] == "gen-t"

    assert process.returncode == 0


def test_a_port_in_use_is_one_sentence_and_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with running("--port", str(taken.getsockname()[1])) as (process, _):
            pass

    assert process.returncode == 1


def test_tls_is_trusted_through_its_own_authority_only(tmp_path):
    authority = tmp_path / "ca.pem"

    with running("--port", "0", "--tls-ca", str(authority)) as (_, address):
        trusting = ssl.create_default_context(cafile=authority)
        with urllib.request.urlopen(f"{address}/healthz", context=trusting) as response:  # noqa: S310
            assert response.status == 200

        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{address}/healthz")  # noqa: S310


def test_a_certificate_for_another_name_is_not_trusted(tmp_path):
    authority = tmp_path / "ca.pem"

    with running("--port", "0", "--tls-ca", str(authority), "--tls-name", "other.test") as (_, address):
        trusting = ssl.create_default_context(cafile=authority)

        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{address}/healthz", context=trusting)  # noqa: S310


def test_what_is_not_said_has_a_default():
    assert vars(options(["--port", "9100"])) | {"backlog": 0} == {
        "port": 9100,
        "host": "127.0.0.1",
        "family": None,
        "delay_ms": 0,
        "gigachat_ttl": 1800,
        "iam_ttl": 43_200,
        "keepalive_idle": 75,
        "tls_ca": None,
        "tls_name": None,
        "backlog": 0,
    }
