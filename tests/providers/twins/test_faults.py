"""Each fault does to the wire what its name says, and none of them breaks the twin itself."""

import asyncio
import logging

import orjson
import pytest

from providers.twins.faults import FAULTS
from tests.providers.twins.stand import Stand, events, question, settled

FAMILIES = ("gigachat", "yandexgpt", "mts-ai", "gen-t")
STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
QUICK = {
    "slow_headers": ".ms=5",
    "oauth_slow": ".ms=5",
    "slow_first": ".ms=5",
    "drip_headers": ".ms=0.1",
    "slow_body": ".ms=0.1.bytes=64",
    "stall_resume": ".hold=0.01",
    "infinite": ".cap=50",
    "huge_chunk": ".kb=64",
    "gzip_bomb": ".mb=1",
}
KINDS = [kind + QUICK.get(kind, "") for kind in FAULTS] + [f"http_{status}" for status in STATUSES]


async def wire(stand: Stand, family: str, text: str, *, stream: bool, **body: object) -> bytes:
    """All that comes back for a question, as bytes; a silent server is left after a moment."""
    path, asked = question(family, text, stream=stream)
    raw = orjson.dumps({**asked, **body})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: twin\r\nConnection: close\r\nUser-Agent: test\r\n"
        f"Authorization: {await stand.authorization(family)}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    writer.write(head.encode() + raw)
    got = []
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 0.25):
            got.append(piece)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return b"".join(got)


def unchunked(data: bytes) -> bytes:
    """A chunked body without its frames."""
    body = data.partition(b"\r\n\r\n")[2]
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


@pytest.mark.parametrize("kind", KINDS)
async def test_no_fault_breaks_the_twin(kind, stand, caplog):
    caplog.set_level(logging.ERROR)

    asked = [(family, stream) for family in FAMILIES for stream in (False, True)]
    await asyncio.gather(*(wire(stand, f, f"[[fault={kind}]] Привет", stream=s) for f, s in asked))

    assert caplog.records == []
    assert await settled(stand)
    assert {entry["fault"] for entry in stand.twins.journal.entries() if entry["op"] == "chat"} == {
        kind.partition(".")[0]
    }


@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_comes_in_the_vendors_shape(status, stand):
    answers = {family: await stand.ask(family, f"[[fault=http_{status}]]") for family in FAMILIES}

    assert {answer[0] for answer in answers.values()} == {status}
    assert answers["gigachat"][1]["status"] == status
    assert answers["yandexgpt"][1]["error"]["httpCode"] == status
    assert isinstance(answers["mts-ai"][1]["error"]["code"], str)
    assert answers["gen-t"][1]["error"] == "Unauthorized" or answers["gen-t"][1]["error"]["code"] == status


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1", b"Retry-After: 1\r"),
        ("date", b"GMT\r"),
        ("bad", b": soon\r"),
        ("neg", b": -5\r"),
        ("huge", b"999999"),
    ],
)
async def test_retry_after_is_said_as_ordered(said, expected, stand):
    got = await wire(stand, "gen-t", f"[[fault=http_429.ra={said}]]", stream=False)

    assert b"\r\nRetry-After: " in got
    assert expected in got


@pytest.mark.parametrize(("body", "size"), [("html", 50), ("empty", 0), ("huge", 8 * 1024 * 1024)])
async def test_an_error_may_have_any_body(body, size, stand):
    status, text = await stand.ask("gen-t", f"[[fault=http_503.body={body}]]")

    assert status == 503
    assert (not text) if size == 0 else len(text) >= size


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["cut", "reset", "stall", "cut_mid_event"])
async def test_a_stream_ends_after_as_many_events_as_ordered(family, kind, stand):
    order = f"[[tokens=200]][[fault={kind}.after=2]]"

    got = await wire(stand, family, order, stream=True)
    whole = await wire(stand, family, "[[tokens=200]]", stream=True)

    opened = family in {"mts-ai", "gen-t"}
    assert (
        got.count(b'"created"') in {2 + opened, 3 + opened}
        if family != "yandexgpt"
        else got.count(b"\n{") <= 3
    )
    assert b"[DONE]" not in got
    assert not got.endswith(b"0\r\n\r\n")
    assert whole.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("kind", ["cut", "reset", "cut_mid_event", "clean_cut"])
async def test_an_answer_that_is_not_streamed_is_cut_in_the_middle_of_its_body(kind, stand):
    got = await wire(stand, "gigachat", f"[[fault={kind}]]", stream=False)

    head, _, body = got.partition(b"\r\n\r\n")
    promised = int(head.partition(b"Content-Length: ")[2].split(b"\r")[0])
    assert 0 < len(body) < promised


@pytest.mark.parametrize(
    "kind", ["utf8_split", "byte_chunks", "coalesced", "crlf_split", "http10", "early_hints"]
)
async def test_other_borders_leave_the_bytes_as_they_are(kind, stand):
    plain = events(await text_of(stand, "[[tokens=50]]"))

    spoilt = await text_of(stand, f"[[tokens=50]][[fault={kind}]]")

    assert said(events(spoilt.replace("\r", ""))) == said(plain)


async def text_of(stand: Stand, text: str) -> str:
    return (await stand.ask("gigachat", text, stream=True))[1]


def said(chunks: list) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("crlf", b"}\r\n\r\n"),
        ("cr", b"}\r\r"),
        ("no_space", b"data:{"),
        ("comments", b": ping\n\nevent: message\n"),
        ("multiline", b"data: {\ndata: "),
        ("bom", b"\xef\xbb\xbfdata"),
        ("bad_utf8", b"\xff\xfe"),
        ("ok_nul", b"\\u0000"),
        ("ok_surrogate", b"\\ud800"),
        ("empty_choices", b'"choices":[]'),
        ("null_delta", b'"content":null'),
        ("ok_nan", b'"prompt_tokens":NaN'),
        ("null_usage", b'"usage":null'),
        ("xss", b"<script>alert(1)</script>"),
        ("blacklist", b'"finish_reason":"blacklist"'),
        ("error_event", b'data: {"status":500'),
    ],
)
async def test_a_stream_is_spelt_as_ordered(kind, has, stand):
    got = unchunked(await wire(stand, "gigachat", f"[[tokens=40]][[chunks=5]][[fault={kind}]]", stream=True))

    assert has in got


async def test_how_events_are_spelt_is_no_matter_of_their_text(stand):
    got = unchunked(await wire(stand, "yandexgpt", "[[echo]]data: [DONE][[fault=no_space]]", stream=True))

    assert b"data: [DONE]" in got


@pytest.mark.parametrize(
    ("kind", "lacks"), [("no_done", b"[DONE]"), ("no_final", b"finish_reason"), ("no_usage", b'"usage"')]
)
async def test_a_stream_lacks_what_was_taken_out(kind, lacks, stand):
    got = await wire(stand, "gigachat", f"[[fault={kind}]]", stream=True)

    assert lacks not in got
    assert got.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("zero_usage", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        ("negative_usage", {"prompt_tokens": -8, "completion_tokens": -10, "total_tokens": -18}),
        ("usage_over", {"prompt_tokens": 16, "completion_tokens": 20, "total_tokens": 36}),
        ("usage_over.x=50", {"prompt_tokens": 400, "completion_tokens": 500, "total_tokens": 900}),
        ("usage_under", {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
        ("total_wrong", {"prompt_tokens": 8, "completion_tokens": 10, "total_tokens": 1018}),
        ("string_usage", {"prompt_tokens": "8", "completion_tokens": "10", "total_tokens": "18"}),
        ("float_usage", {"prompt_tokens": 8.5, "completion_tokens": 10.5, "total_tokens": 18.5}),
        ("overflow_usage", dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 10**30)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_counts_lie_as_ordered(kind, usage, stream, stand):
    order = {"stream_options": {"include_usage": True}} if stream else {}
    kind, _, x = kind.partition(".x=")
    await stand.post("/__fault", {"kind": kind, "args": {"x": x}})

    _, got = await stand.ask("gen-t", "[[tokens=10]]", stream=stream, **order)

    counts = (events(got)[-1] if stream else got)["usage"]
    assert {key: counts[key] for key in usage} == usage


async def test_usage_comes_twice_or_on_every_event(stand):
    asked = {"stream": True, "stream_options": {"include_usage": True}}

    _, twice = await stand.ask("gen-t", "[[tokens=10]][[fault=dup_usage]]", **asked)
    _, always = await stand.ask("gen-t", "[[tokens=10]][[fault=usage_every_chunk]]", **asked)

    assert sum("usage" in event for event in events(twice)) == 2
    assert all("usage" in event for event in events(always))


async def test_yandex_revises_what_it_said(stand):
    _, got = await stand.ask("yandexgpt", "[[tokens=60]][[fault=yandex_rewrite.after=3]]", stream=True)

    texts = [line["result"]["alternatives"][0]["message"]["text"] for line in events(got)]
    assert texts[2].startswith("[двойник]")
    assert texts[3].startswith("[twin]")


async def test_an_endless_answer_does_not_mind_the_limit(stand):
    _, got = await stand.ask("gen-t", "[[fault=infinite.cap=300]]", stream=True, max_tokens=5)

    assert len(events(got)) > 300


async def test_a_connection_kept_alive_dies_at_its_next_use(stand):
    connector_limit = 1
    stand.http.connector._limit = connector_limit
    await stand.ask("gen-t", "[[fault=stale_keepalive]]")

    path, body = question("gen-t", "Привет")
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    ask = request(
        path, orjson.dumps({**body, "messages": [{"role": "user", "content": "[[fault=stale_keepalive]]"}]})
    )
    writer.write(ask)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.05)
    writer.write(ask)

    with pytest.raises(ConnectionError):
        while await reader.read(65536):
            pass


def request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: twin\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_a_tokens_end_is_told_wrong(stand):
    for kind in ("oauth_past", "oauth_seconds", "oauth_empty", "oauth_html"):
        await stand.post("/__fault", {"kind": kind, "op": "oauth"})
    ends = []

    for _ in range(4):
        headers = {"Authorization": "Basic key", "RqUID": "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e"}
        async with stand.http.post(
            "/gigachat/api/v2/oauth", data={"scope": "GIGACHAT_API_PERS"}, headers=headers
        ) as r:
            ends.append((await r.text()).partition('"expires_at":')[2].rstrip("}"))

    past, in_seconds, empty, html = ends
    assert len(past) == 13
    assert len(in_seconds) == 10
    assert (empty, html) == ("", "")


async def test_a_token_expires_in_mid_flight(stand):
    token = await stand.giga_token()
    path, body = question("gigachat", "Привет")
    await stand.post("/__fault", {"family": "gigachat", "kind": "expire_token"})

    statuses = [(await stand.post(path, body, Authorization=f"Bearer {token}"))[0] for _ in range(2)]

    assert statuses == [401, 401]
    assert (await stand.ask("gigachat", "Привет"))[0] == 200


async def test_a_secret_is_echoed(stand):
    _, got = await stand.ask("gen-t", "[[fault=secret_echo]]тайна")

    assert "Bearer key" in got["error"]["message"]
    assert "тайна" in got["error"]["message"]


async def test_a_billed_answer_is_in_the_journal_though_nothing_arrived(stand):
    got = await wire(stand, "gen-t", "[[tokens=20]][[fault=billed_reset]]", stream=True)

    entry = next(stand.twins.journal.entries())
    assert got == b""
    assert (entry["completion_tokens_sent"], entry["outcome"]) == (20, "cut")


async def test_a_bomb_is_small_on_the_wire(stand):
    got = await wire(stand, "gen-t", "[[fault=gzip_bomb.mb=64]]", stream=False)

    assert len(got) < 100_000


async def test_a_413_comes_before_the_body_has_been_sent(stand):
    await stand.post("/__fault", {"kind": "early_413"})
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)

    writer.write(request("/gen-t/v1/chat/completions", b"").replace(b"Length: 0", b"Length: 20000000"))

    assert b" 413 " in await reader.readline()
    writer.close()
