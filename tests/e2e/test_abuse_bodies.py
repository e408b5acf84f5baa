"""Bodies and headers that no honest client sends: of a wrong length, without end, in another form, of values
that are no values. Spoken to a web process as it is in production.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from routing.reading import MAX_BYTES
from tests.e2e.installation import Installation, Server, Twins
from tests.e2e.raw import Reply, one, request, said
from tests.e2e.talk import PATH, chat, post
from xrouter.web import HEAD_BYTES, HEADERS

HELLO = json.dumps(chat("solo/openai", "Привет")).encode()


@pytest.fixture(scope="module")
def production(installation: Installation, key: str) -> Server:
    return installation.start_as_in_production("production")


def memory(server: Server) -> int:
    return int(psutil.Process(server.program.pid).memory_info().rss)


def asked(key: str, *fields: str, body: bytes = b"") -> bytes:
    """A chat with these header lines, of which one has to tell the length."""
    return request(PATH, f"Authorization: Bearer {key}", *fields, method="POST") + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


# --- Lengths ---------------------------------------------------------------------------------------------


def test_a_body_that_nobody_announced_is_empty(production: Server, key: str):
    reply = one(production, asked(key))

    assert (reply.status, reply.kind) == (400, "invalid_request")


def test_what_comes_beyond_the_length_is_no_part_of_the_body(production: Server, key: str):
    replies = said(production, asked(key, f"Content-Length: {len(HELLO) - 5}", body=HELLO))

    assert (replies[0].status, replies[0].kind) == (400, "invalid_request")
    assert all(reply.status == 400 for reply in replies[1:])


def test_a_second_request_in_the_body_of_the_first_is_not_asked(production: Server, key: str, twins: Twins):
    """Smuggling: the inner one would go with the key of the outer one."""
    before = twins.control("GET", "/__summary")["chats"]
    inner = asked(key, f"Content-Length: {len(HELLO)}", body=HELLO)

    reply = one(production, asked(key, f"Content-Length: {len(inner)}", body=inner))

    assert reply.status == 400
    assert twins.control("GET", "/__summary")["chats"] == before


def test_a_body_that_ends_early_is_asked_of_nobody(production: Server, key: str, twins: Twins):
    before = twins.control("GET", "/__summary")["chats"]

    told = said(production, asked(key, f"Content-Length: {len(HELLO) + 5}", body=HELLO), is_all=True)

    assert told == []
    assert twins.control("GET", "/__summary")["chats"] == before


def endless(size: int) -> Iterator[bytes]:
    piece = chunked(b" " * 65_536)
    for _ in range(size // 65_536):
        yield piece


@pytest.mark.parametrize("path", [PATH, "/v1/embeddings", "/v1/route/plan", "/v1/models", "/login/"])
def test_a_body_without_end_is_refused_before_it_is_read(production: Server, key: str, path: str):
    before = memory(production)
    head = request(path, f"Authorization: Bearer {key}", "Transfer-Encoding: chunked", method="POST")
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        yield head
        for piece in endless(1 << 30):
            sent += len(piece)
            yield piece

    reply = one(production, counted())

    # Whoever is still writing when the connection is closed may lose the answer.
    assert reply.status in {0, 413}
    assert sent < 64 << 20
    assert memory(production) - before < 64 << 20


@pytest.mark.parametrize("path", [PATH, "/v1/embeddings", "/v1/completions"])
def test_a_body_over_the_limit_is_told_to_be(production: Server, key: str, path: str):
    body = b" " * (MAX_BYTES + 1)
    login = f"Authorization: Bearer {key}"

    reply = one(production, request(path, login, f"Content-Length: {len(body)}", method="POST") + body)

    assert (reply.status, reply.kind) == (413, "request_too_large")


WITH_BODY = [PATH, "/v1/completions", "/v1/embeddings", "/v1/route/plan"]


def unsent(path: str, *fields: str, method: str = "POST", size: int = MAX_BYTES + 1) -> bytes:
    """A request on a kept connection that says how long its body is, and leaves it at that."""
    head = request(path, f"Content-Length: {size}", *fields, method=method)
    return head.replace(b"Connection: close\r\n", b"")


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("size", [MAX_BYTES + 1, 1 << 40])
def test_a_length_over_the_limit_is_refused_before_the_body_comes(
    door: Server, key: str, path: str, size: int
):
    began = time.monotonic()

    reply = one(door, unsent(path, f"Authorization: Bearer {key}", size=size))

    assert (reply.status, reply.kind, reply.headers["connection"]) == (413, "request_too_large", "close")
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("path", [*WITH_BODY, "/v1/keys", "/v1/keys/xr-live-000000000000/rotate"])
def test_without_a_key_a_length_is_not_looked_at(door: Server, path: str):
    reply = one(door, unsent(path))

    assert (reply.status, reply.kind) == (401, "invalid_api_key")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/login/")])
def test_a_length_over_the_limit_is_refused_also_where_no_body_is_expected(
    express: Server, method: str, path: str
):
    assert one(express, unsent(path, method=method)).status == 413


@pytest.mark.parametrize("path", WITH_BODY)
def test_nobody_is_asked_to_go_on_with_a_body_that_is_too_long(door: Server, key: str, path: str):
    began = time.monotonic()

    replies = said(door, unsent(path, f"Authorization: Bearer {key}", "Expect: 100-continue"))

    assert [reply.status for reply in replies] == [413]
    assert time.monotonic() - began < 2


def test_a_body_that_was_refused_unread_is_no_request_and_its_sender_hears_the_answer(
    door: Server, key: str, twins: Twins
):
    before = twins.control("GET", "/__summary")["chats"]
    inner = asked(key, SIZE, body=HELLO)
    body = inner * (MAX_BYTES * 4 // len(inner))

    replies = said(door, unsent(PATH, f"Authorization: Bearer {key}", size=len(body)) + body + inner)

    assert [reply.status for reply in replies] == [413]
    assert twins.control("GET", "/__summary")["chats"] == before


def test_a_body_that_was_refused_unread_may_not_go_on_for_ever(door: Server, key: str):
    before = memory(door)
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        yield unsent(PATH, f"Authorization: Bearer {key}", size=1 << 40)
        while sent < 1 << 30:
            sent += 65_536
            yield b" " * 65_536

    said(door, counted())

    assert sent < 256 << 20
    assert memory(door) - before < 64 << 20


def test_chunks_and_what_follows_them_are_one_request(production: Server, key: str):
    body = (
        chunked(HELLO[:10], HELLO[10:]) + b"0\r\nX-Forwarded-For: 10.0.0.1\r\nAuthorization: Bearer x\r\n\r\n"
    )

    replies = said(production, asked(key, "Transfer-Encoding: chunked", body=body))

    assert [reply.status for reply in replies] == [200]


# --- Heads that can be read in two ways --------------------------------------------------------------------

SIZE = f"Content-Length: {len(HELLO)}"
TWO_WAYS: dict[str, tuple[list[str], bytes]] = {
    "two lengths": ([SIZE, "Content-Length: 5"], HELLO),
    "the same length twice": ([SIZE, SIZE], HELLO),
    "two lengths in one": ([f"{SIZE}, 5"], HELLO),
    "a length and chunks": ([SIZE, "Transfer-Encoding: chunked"], chunked(HELLO) + b"0\r\n\r\n"),
    "chunks and a length": (["Transfer-Encoding: chunked", SIZE], chunked(HELLO) + b"0\r\n\r\n"),
    "a negative length": (["Content-Length: -1"], HELLO),
    "a length with a sign": ([f"Content-Length: +{len(HELLO)}"], HELLO),
    "a length in hex": ([f"Content-Length: {len(HELLO):#x}"], HELLO),
    "chunks that are none": (["Transfer-Encoding: xchunked"], HELLO),
    "chunks twice": (["Transfer-Encoding: chunked, identity"], chunked(HELLO) + b"0\r\n\r\n"),
    "a space before the colon": ([f"Content-Length : {len(HELLO)}"], HELLO),
    "a line that goes on": (["X: a\r\n b", SIZE], HELLO),
    "a header without a name": ([": x", SIZE], HELLO),
    "a header without a colon": (["nonsense", SIZE], HELLO),
    "NUL in a header": (["X: a\x00b", SIZE], HELLO),
    "CR in a header": (["X: a\rb: c", SIZE], HELLO),
    "a chunk that is too short": (["Transfer-Encoding: chunked"], b"5\r\n{}\r\n0\r\n\r\n"),
    "a chunk of a negative size": (["Transfer-Encoding: chunked"], b"-5\r\n{}\r\n0\r\n\r\n"),
    "a chunk of an endless size": (["Transfer-Encoding: chunked"], b"f" * 40 + b"\r\n{}\r\n"),
}


@pytest.mark.parametrize(("fields", "body"), TWO_WAYS.values(), ids=TWO_WAYS.keys())
def test_a_head_that_can_be_read_in_two_ways_is_refused(
    production: Server, key: str, twins: Twins, fields: list[str], body: bytes
):
    before = twins.control("GET", "/__summary")["chats"]

    replies = said(production, asked(key, *fields, body=body))

    assert {reply.status for reply in replies} == {400}
    assert twins.control("GET", "/__summary")["chats"] == before


def test_lines_that_end_otherwise_are_no_second_request(production: Server, key: str):
    data = asked(key, SIZE, body=HELLO).replace(b"\r\n", b"\n", 3)

    assert [reply.status for reply in said(production, data)] in ([400], [200])


@pytest.mark.parametrize(
    "fields",
    [["X: " + "x" * (1 << 20)], ["X: 1"] * 10_000, [f"X-{n}: 1" for n in range(10_000)]],
    ids=["one of a megabyte", "10,000 of one name", "10,000 of other names"],
)
def test_headers_without_end_are_refused(production: Server, key: str, fields: list[str]):
    before = memory(production)

    reply = one(production, asked(key, *fields, SIZE, body=HELLO))

    assert reply.status in {0, 431}
    assert memory(production) - before < 32 << 20


def test_headers_of_an_honest_size_are_read(production: Server, key: str):
    reply = one(production, asked(key, f"Cookie: {'x' * (HEAD_BYTES // 2)}", SIZE, body=HELLO))

    assert reply.status == 200


# --- Patience ---------------------------------------------------------------------------------------------


def test_hundreds_who_say_nothing_are_let_go_and_hold_up_nobody(production: Server, key: str):
    process = psutil.Process(production.program.pid)
    before = process.num_fds()
    with ExitStack() as lines:
        began = time.monotonic()
        silent = [lines.enter_context(socket.create_connection(production.address)) for _ in range(400)]
        for line in silent[::2]:
            line.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        refused = lines.enter_context(socket.create_connection(production.address))
        refused.sendall(asked(key, "Transfer-Encoding: chunked").replace(b"Connection: close\r\n", b""))
        refused.sendall(chunked(b" " * (MAX_BYTES + 1)))
        assert refused.recv(12) == b"HTTP/1.1 413"

        assert post(production, key, HELLO).status_code == 200

        for line in silent:
            line.settimeout(HEADERS + 20)
            assert line.recv(1) == b""
        assert time.monotonic() - began >= HEADERS - 1
        # Nor may a body that was refused go on for ever.
        with pytest.raises(OSError):
            for _ in range(100):
                refused.sendall(chunked(b" "))
                time.sleep(0.1)
    assert process.num_fds() <= before + 20


# --- Other forms ------------------------------------------------------------------------------------------

BOUNDARY = "-" * 70
FORMS: dict[str, tuple[str, bytes]] = {
    "a form": (f"multipart/form-data; boundary={BOUNDARY}", b"--" + BOUNDARY.encode() + b"--\r\n"),
    "an endless boundary": ("multipart/form-data; boundary=" + "-" * 50_000, b"--x--\r\n"),
    "no boundary": ("multipart/form-data", b"--x--\r\n"),
    "a thousand parts": (
        f"multipart/form-data; boundary={BOUNDARY}",
        b"".join(
            b'--%b\r\nContent-Disposition: form-data; name="f%d"; filename="%b"\r\n\r\nx\r\n'
            % (BOUNDARY.encode(), n, b"n" * 500)
            for n in range(1_000)
        ),
    ),
}


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/embeddings", "/v1/route/plan"])
@pytest.mark.parametrize(("form", "body"), FORMS.values(), ids=FORMS.keys())
def test_a_form_is_refused_as_such(production: Server, key: str, path: str, form: str, body: bytes):
    fields = [f"Authorization: Bearer {key}", f"Content-Type: {form}"]

    reply = one(production, request(path, *fields, method="POST", body=body))

    assert (reply.status, reply.kind) == (415, "unsupported_media_type")


def test_forms_for_pages_have_limits_too(production: Server):
    form, body = FORMS["a thousand parts"]

    reply = one(production, request("/login/", f"Content-Type: {form}", method="POST", body=body))

    assert reply.status in {400, 403}


def without(body: bytes) -> bytes:
    """``HELLO`` without its last brace and with more."""
    return HELLO[:-1] + b", " + body


NO_JSON: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "null": (b"null", None),
    "an array": (b"[]", None),
    "a string": (b'"x"', None),
    "a number": (b"5", None),
    "a byte order mark": (b"\xef\xbb\xbf" + HELLO, None),
    "UTF-16": (HELLO.decode().encode("utf-16"), None),
    "UTF-32": (HELLO.decode().encode("utf-32"), None),
    "a trailing comma": (HELLO[:-1] + b",}", None),
    "a comment": (HELLO + b"// x", None),
    "two": (HELLO * 2, None),
    "single quotes": (HELLO.replace(b'"', b"'"), None),
    "NaN": (without(b'"temperature": NaN}'), "temperature"),
    "Infinity": (without(b'"top_p": -Infinity}'), "top_p"),
    "1e999": (without(b'"temperature": 1e999}'), "temperature"),
    "5,000 digits": (without(b'"max_tokens": ' + b"9" * 5_000 + b"}"), "max_tokens"),
    "2**64": (without(b'"seed": 18446744073709551616}'), "seed"),
    "true for a number": (without(b'"max_tokens": true}'), "max_tokens"),
    "a deep one": (without(b'"metadata": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"), None),
    "a deep tool": (
        without(
            b'"tools": [{"type": "function", "function": {"name": "f", "parameters": '
            + b'{"a":' * 10_000
            + b"1"
            + b"}" * 10_000
            + b"}}]}"
        ),
        None,
    ),
    "a deep form": (
        without(
            b'"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": '
            + b'{"a":' * 10_000
            + b"1"
            + b"}" * 10_000
            + b"}}}"
        ),
        None,
    ),
}


@pytest.mark.parametrize(("body", "param"), NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_request_is_refused_alike_at_both_doors(
    express: Server, framework: Server, key: str, body: bytes, param: str | None
):
    told: list[Any] = []
    for server in (express, framework):
        error = post(server, key, body).json()["error"]
        error["metadata"].pop("request_id")
        told.append(error)

    assert told[0] == told[1]
    assert (told[0]["code"], told[0]["param"]) == (400, param)


def test_the_last_of_equal_names_is_the_one_at_both_doors_and_upstream(
    express: Server, framework: Server, key: str, twins: Twins
):
    for number, server in enumerate((express, framework)):
        tag = f"[[tag=equal-{number}]]"
        last = json.dumps([{"role": "user", "content": f"{tag}[[echo]]второе"}])
        body = without(f'"messages": {last}, "model": "nobody/knows", "model": "slow/openai"}}'.encode())

        answer = post(server, key, body)

        assert answer.json()["choices"][0]["message"]["content"] == "второе"
        assert len(twins.journal(f"equal-{number}")) == 1


STRANGE = ["-1", "0", '"5"', "true", "[]", "{}", str(2**63), "1.5", str(-(2**31)), "1e309", "NaN"]
# Fields, and what of the strange is not strange there.
FIELDS = {
    "max_tokens": (),
    "max_completion_tokens": (),
    "n": (),
    "temperature": ("0", "1.5"),
    "top_p": ("0",),
    "seed": ("-1", "0", str(-(2**31))),
    "top_k": ("0",),
    "presence_penalty": ("-1", "0", "1.5"),
    "stream": ("true",),
}


@pytest.mark.parametrize("field", FIELDS)
def test_strange_values_are_refused_by_their_field(express: Server, key: str, field: str):
    for value in STRANGE:
        if value not in FIELDS[field]:
            answer = post(express, key, without(f'"{field}": {value}}}'.encode()))
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), value


def reply_of(server: Server, key: str) -> Reply:
    return one(server, asked(key, SIZE, body=HELLO))


def test_after_all_this_the_process_serves_as_before(production: Server, key: str):
    assert reply_of(production, key).status == 200
    assert "Traceback" not in production.program.said()
