"""What comes over the desk: keys in every shape, addresses behind proxies, bodies of every kind."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
from django.db import InterfaceError, OperationalError
from prometheus_client import REGISTRY

from accounts.callers import Caller, Callers
from accounts.keys import Key, Kind, new_key
from routing import turnstile
from routing.contents.transcript import Transcript
from routing.desk import Arrival, Desk, Reply
from routing.errors import BodyTimedOut, TooManyBytes
from routing.express import Answer
from routing.lookups import AT_ONCE
from tests.gateways import ANSWER, WHOLE, House, before, caller, card, delta, route, saying, silent
from tests.servers import END, Line, Vendor, reply, stream_head

KEY = new_key(Kind.LIVE)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Привет"}]}


class Reception:
    """A desk with one vendor behind it and one key that is known."""

    def __init__(self, server: Vendor, house: House) -> None:
        self.server = server
        self.house = house
        self.caller = caller(digest=KEY.digest)
        self.proxies: list[str] = []
        self.failure: Exception | None = None
        self.patience = 10.0  # seconds
        self.mark = ""
        self.kept: list[Transcript] = []
        self.database = threading.Event()  # hangs until it is set
        self.database.set()

    def load(self, prefix: str) -> Caller | None:
        self.database.wait(10)
        if self.failure is not None:
            raise self.failure
        return self.caller if prefix == KEY.prefix else None

    async def answer(
        self,
        body: Any = CHAT,
        *,
        peer: str = "203.0.113.7",
        flaw: Exception | None = None,
        path: str = "chat",
        **headers: str | None,
    ) -> Reply:
        async def read_body() -> bytes:
            if flaw is not None:
                raise flaw
            return body if isinstance(body, bytes) else orjson.dumps(body)

        given = {"authorization": f"Bearer {KEY.plaintext}", **headers}
        lower = {name.replace("_", "-"): value for name, value in given.items() if value is not None}
        house = self.house
        desk = Desk(
            Callers(self.load),
            house.gateway,
            house.embedder,
            self.proxies,
            patience=self.patience,
            mark=self.mark,
            keep=self.kept.append,
        )
        answer: Answer = getattr(desk, path)
        return await answer(Arrival(lower, peer, read_body))

    async def status(self, *args: Any, **kwargs: Any) -> int:
        return (await self.answer(*args, **kwargs)).status


@pytest.fixture
async def desk() -> AsyncIterator[Reception]:
    async with Vendor(saying(reply(ANSWER))) as server, before(server) as house:
        yield Reception(server, house)


def kind(answer: Reply) -> str:
    return orjson.loads(answer.body)["error"]["metadata"]["error_type"]


# Keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"bearer {KEY.plaintext}"},
        {"authorization": f"BEARER   {KEY.plaintext} "},
        {"authorization": None, "x_api_key": KEY.plaintext},
        {"authorization": None, "x_api_key": f" {KEY.plaintext} "},
        {"authorization": "", "x_api_key": KEY.plaintext},
    ],
)
async def test_a_key_may_come_in_any_of_these_shapes(desk: Reception, headers: dict[str, Any]) -> None:
    assert await desk.status(**headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": None},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": KEY.plaintext},
        {"authorization": f"Basic {KEY.plaintext}"},
        {"authorization": f"Bearer {KEY.plaintext},Bearer {KEY.plaintext}"},
        {"authorization": f"Bearer {KEY.plaintext}x"},
        {"authorization": f"Bearer {new_key(Kind.LIVE).plaintext}"},
        {"authorization": f"Bearer {KEY.plaintext[:-1]}\xff"},
        {"authorization": "Bearer " + "\xe9" * 10_000},
        {"authorization": None, "x_api_key": "sk-1"},
    ],
)
async def test_anything_else_is_401(desk: Reception, headers: dict[str, Any]) -> None:
    answer = await desk.answer(**headers)

    assert answer.status == 401
    assert kind(answer) == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert desk.server.requests == []


@pytest.mark.parametrize(
    "sent", [KEY.plaintext, f"Basic {KEY.plaintext}", "Bearer"], ids=["bare", "basic", "none"]
)
async def test_a_key_that_is_sent_otherwise_is_told_how(desk: Reception, sent: str) -> None:
    assert "Authorization: Bearer xr-…" in (await desk.answer(authorization=sent)).body.decode()


async def test_without_a_good_key_the_body_is_not_read(desk: Reception) -> None:
    assert await desk.status(flaw=AssertionError("was read"), authorization=None) == 401


@pytest.mark.parametrize("failure", [OperationalError("secret dsn"), InterfaceError("secret dsn")])
async def test_without_a_database_an_unknown_key_is_503(
    desk: Reception, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk.failure = failure

    answer = await desk.answer()

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert b"secret" not in answer.body
    assert "secret" not in caplog.text


async def test_a_database_that_hangs_keeps_nobody_waiting(desk: Reception) -> None:
    desk.patience = 0.2
    desk.database.clear()

    async with asyncio.timeout(5):
        answer = await desk.answer()
    desk.database.set()

    assert (answer.status, kind(answer)) == (503, "unavailable")


async def test_whoever_brings_many_keys_holds_up_nobody_else(desk: Reception) -> None:
    asked: list[str] = []

    def load(prefix: str) -> Caller | None:
        asked.append(prefix)
        time.sleep(0.05)  # much longer than this thread may have to wait for the processor
        return desk.caller if prefix == KEY.prefix else None

    shared = Desk(Callers(load), desk.house.gateway, desk.house.embedder, patience=30)

    async def come(key: str, peer: str) -> Reply:
        async def read_body() -> bytes:
            return orjson.dumps(CHAT)

        return await shared.chat(Arrival({"authorization": f"Bearer {key}"}, peer, read_body))

    many = [asyncio.create_task(come(new_key(Kind.LIVE).plaintext, "203.0.113.7")) for _ in range(30)]
    await asyncio.sleep(0)
    answer = await come(KEY.plaintext, "198.51.100.1")
    refused = await asyncio.gather(*many)

    assert answer.status == 200
    assert {reply.status for reply in refused} == {401}
    assert asked.index(KEY.prefix) <= 2 * AT_ONCE


# Turns ----------------------------------------------------------------------------------------------


async def test_who_has_all_places_a_client_may_have_waits_and_nobody_else_does(
    desk: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "HELD", 60)
    crowd, single = new_key(Kind.LIVE), new_key(Kind.LIVE)
    known = {
        crowd.prefix: caller(client_id=1, digest=crowd.digest),
        single.prefix: caller(client_id=2, digest=single.digest),
    }
    shared = Desk(Callers(known.get), desk.house.gateway, desk.house.embedder)

    async def come(key: Key) -> int:
        async def read_body() -> bytes:
            return orjson.dumps(CHAT)

        arrival = Arrival({"authorization": f"Bearer {key.plaintext}"}, "203.0.113.7", read_body)
        return (await shared.chat(arrival)).status

    assert await come(single) == 200
    places = [await shared._turnstile.enter(1) for _ in range(turnstile.OWN)]
    waiting = asyncio.create_task(come(crowd))
    assert await come(single) == 200
    assert not waiting.done()

    shared._turnstile.leave(places[0])

    assert await waiting == 200


# Addresses ------------------------------------------------------------------------------------------

ALLOWED = {"networks": (ip_network("203.0.113.0/24"),)}


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("203.0.113.7", None, 200),
        ("::ffff:203.0.113.7", None, 200),
        ("10.0.0.1", None, 403),
        ("", None, 403),
        ("unix", None, 403),
        ("10.0.0.1", "203.0.113.7", 200),
        ("::ffff:10.0.0.1", "203.0.113.7", 200),
        ("10.0.0.1", "8.8.8.8, 203.0.113.7", 200),
        ("10.0.0.1", "203.0.113.7, 8.8.8.8", 403),
        ("10.0.0.1", "203.0.113.7,", 403),
        ("10.0.0.1", "nonsense", 403),
        ("8.8.8.8", "203.0.113.7", 403),
    ],
)
async def test_only_a_trusted_proxy_is_believed_and_only_about_the_last_hop(
    desk: Reception, peer: str, forwarded: str | None, status: int
) -> None:
    desk.caller = caller(digest=KEY.digest, **ALLOWED)
    desk.proxies = ["10.0.0.0/8"]

    assert await desk.status(peer=peer, x_forwarded_for=forwarded) == status


async def test_without_trusted_proxies_nobody_is_believed(desk: Reception) -> None:
    desk.caller = caller(digest=KEY.digest, **ALLOWED)

    assert await desk.status(peer="10.0.0.1", x_forwarded_for="203.0.113.7") == 403


# Bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["gzip", "br", "GZIP"])
async def test_a_packed_body_is_415_unread(desk: Reception, packing: str) -> None:
    answer = await desk.answer(content_encoding=packing, flaw=AssertionError("was read"))

    assert answer.status == 415


@pytest.mark.parametrize("kind_", ["multipart/form-data; boundary=x", "Multipart/Mixed"])
async def test_a_form_is_415_unread(desk: Reception, kind_: str) -> None:
    answer = await desk.answer(content_type=kind_, flaw=AssertionError("was read"))

    assert answer.status == 415
    assert kind(answer) == "unsupported_media_type"


@pytest.mark.parametrize("kind_", [None, "", "text/plain", "application/x-www-form-urlencoded"])
async def test_json_under_another_name_is_read_all_the_same(desk: Reception, kind_: str | None) -> None:
    assert await desk.status(content_type=kind_) == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"NaN", 400),
        (b"-Infinity", 400),
        (b"1" * 5000, 400),
        (b"[" * 100_000, 400),
        (b'{"model":' + b'{"a":' * 200 + b"1" + b"}" * 201, 400),
        ({**CHAT, "model": "nobody"}, 404),
        ({**CHAT, "model": ""}, 400),
        ({**CHAT, "model": 5}, 400),
        ({**CHAT, "messages": []}, 400),
        ({**CHAT, "messages": [{"role": "user", "content": "a\0b"}]}, 400),
        (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', 400),
        ({**CHAT, "n": 2}, 400),
        ({**CHAT, "provider": {"only": ["nobody"]}}, 503),
        ({**CHAT, "provider": "x"}, 400),
        ({**CHAT, "seed": 2**63}, None),
        ({**CHAT, "unknown": {"a": 1e308}}, None),
    ],
)
async def test_whatever_is_sent_nothing_is_a_500(desk: Reception, body: Any, status: int | None) -> None:
    answer = await desk.answer(body)

    assert answer.status == status or (status is None and answer.status < 500)


@pytest.mark.parametrize(("flaw", "status"), [(TooManyBytes(1), 413), (BodyTimedOut(), 408)])
async def test_what_the_door_says_of_a_body_is_told(desk: Reception, flaw: Exception, status: int) -> None:
    assert await desk.status(flaw=flaw) == status


async def test_a_bug_of_ours_is_a_500_with_a_number_and_without_words(
    desk: Reception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await desk.answer(flaw=ZeroDivisionError("the prompt"))

    assert (answer.status, kind(answer)) == (500, "internal_error")
    assert answer.headers["x-request-id"] in answer.body.decode()
    assert b"the prompt" not in answer.body
    assert "the prompt" not in caplog.text


# Circles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theirs", "status"), [("ours", 508), ("another's", 200), ("", 200), (None, 200)])
async def test_a_request_of_our_own_that_comes_back_is_refused(
    desk: Reception, theirs: str | None, status: int
) -> None:
    desk.mark = "ours"

    assert await desk.status(x_xrouter_hop=theirs) == status


async def test_without_a_mark_no_request_is_our_own(desk: Reception) -> None:
    assert await desk.status(x_xrouter_hop="") == 200


# Answers --------------------------------------------------------------------------------------------


async def test_an_answer_says_who_gave_it(desk: Reception) -> None:
    answer = await desk.answer({**CHAT, "reasoning": {"effort": "low"}, "top_a": 1})

    body = orjson.loads(answer.body)
    assert answer.status == 200
    assert answer.headers["x-generation-id"] == body["id"]
    assert (answer.headers["x-xrouter-provider"], answer.headers["x-xrouter-model"]) == ("a", "m")
    assert answer.headers["x-xrouter-attempts"] == "1"
    assert float(answer.headers["x-xrouter-overhead-ms"]) >= 0


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [("my-id-1", "my-id-1"), ("", ""), ("a b", ""), ("x" * 129, ""), ("line\r\nbreak", ""), ("\xe9", "")],
)
async def test_the_customers_own_id_is_recorded_if_it_is_harmless(
    desk: Reception, theirs: str, kept: str
) -> None:
    answer = await desk.answer(x_request_id=theirs)

    assert desk.house.book.records[0].client_request_id == kept
    assert answer.headers["x-request-id"].startswith("req_")


async def test_error_codes_are_numbers_or_on_demand_words(desk: Reception) -> None:
    number = await desk.answer({**CHAT, "model": "nobody"})
    word = await desk.answer({**CHAT, "model": "nobody"}, x_xrouter_error_codes="string")

    assert orjson.loads(number.body)["error"]["code"] == 404
    assert orjson.loads(word.body)["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("status", [401, 402, 403, 404])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_vendors_refusal_of_us_is_never_the_customers(
    desk: Reception, status: int, stream: bool
) -> None:
    desk.server.script = saying(reply({"error": {"message": "your key sk-secret is bad"}}, status))

    answer = await desk.answer({**CHAT, "stream": stream})

    assert (answer.status, kind(answer)) == (502, "provider_unavailable")
    assert b"sk-secret" not in answer.body
    assert answer.headers["x-xrouter-attempts"] == "1"
    assert (answer.headers["x-xrouter-provider"], answer.headers["x-xrouter-model"]) == ("a", "m")
    assert answer.headers["x-generation-id"].startswith("gen-")


async def test_a_stream_is_a_200_once_there_is_output(desk: Reception) -> None:
    desk.server.script = saying(*WHOLE)

    answer = await desk.answer({**CHAT, "stream": True})
    pieces = [piece async for piece in answer.events]

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-xrouter-provider"] == "a"
    assert pieces[-1].endswith(b"data: [DONE]\n\n")


async def test_a_stream_nobody_reads_is_closed_and_recorded(desk: Reception) -> None:
    async def script(line: Any) -> None:
        await line.asked()
        await line.say(*WHOLE[:3])
        await line.until_left()

    desk.server.script = script
    answer = await desk.answer({**CHAT, "stream": True})

    await answer.events.aclose()

    assert await desk.server.deserted(within=1)
    assert [record.status for record in desk.house.book.records] == ["cancelled"]


async def test_a_customer_who_leaves_while_he_waits_is_not_answered(desk: Reception) -> None:
    desk.server.script = silent
    for stream in (False, True):
        task = asyncio.create_task(desk.answer({**CHAT, "stream": stream}))
        await asyncio.sleep(0.05)

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert await desk.server.deserted(within=1)
    assert [record.status for record in desk.house.book.records] == ["cancelled"] * 2


async def test_nothing_of_a_prompt_is_logged(desk: Reception, caplog: pytest.LogCaptureFixture) -> None:
    desk.server.script = saying(reply({"error": {"message": "tell me about my cat"}}, 500))
    chat = {**CHAT, "messages": [{"role": "user", "content": "tell me about my cat"}]}

    await desk.answer(chat)
    await desk.answer({**chat, "temperature": "tell me about my cat"})

    assert "my cat" not in str([vars(record) for record in caplog.records])
    assert KEY.plaintext not in str([vars(record) for record in caplog.records])


async def test_a_model_no_endpoint_serves_is_503_with_reasons() -> None:
    async with House(card(route("http://127.0.0.1:9", logins=()))) as house:
        reception = Reception(None, house)
        answer = await reception.answer()

    assert (answer.status, kind(answer)) == (503, "no_route")
    assert orjson.loads(answer.body)["error"]["metadata"]["reasons"]


# Contents -------------------------------------------------------------------------------------------

STREAM = {**CHAT, "stream": True}


def keeping(desk: Reception) -> None:
    """From now on the caller's client wants what it says to be kept."""
    desk.caller = caller(digest=KEY.digest, keeps_content=True)


async def read(answer: Reply) -> bytes:
    return b"".join([event async for event in answer.events]) if answer.events else answer.body


def answered(transcript: Transcript) -> dict[str, Any]:
    return dict(orjson.loads(transcript.answer))


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "streamed"])
async def test_of_a_client_that_did_not_ask_for_it_nothing_is_kept(
    desk: Reception, body: dict[str, Any]
) -> None:
    desk.server.script = saying(*WHOLE if body is STREAM else [reply(ANSWER)])

    await read(await desk.answer({**body, "store": True}))

    assert desk.kept == []


async def test_a_whole_answer_is_kept_as_it_went_out(desk: Reception) -> None:
    keeping(desk)

    answer = await desk.answer()

    (kept,) = desk.kept
    assert kept.answer == answer.body
    assert kept.question.text == orjson.dumps(CHAT)
    assert f"gen-{kept.id.hex}" == answer.headers["x-generation-id"]
    assert (kept.id, kept.client_id) == (desk.house.book.records[0].id, desk.caller.client_id)


async def test_a_stream_is_kept_when_it_has_ended(desk: Reception) -> None:
    keeping(desk)
    desk.server.script = saying(*WHOLE)

    answer = await desk.answer(STREAM)
    assert desk.kept == []
    await read(answer)

    (kept,) = desk.kept
    assert answered(kept)["choices"][0]["message"] == {"content": "Привет"}
    assert kept.question.text == orjson.dumps(STREAM)


async def test_of_a_stream_that_breaks_what_came_is_kept_with_the_error(desk: Reception) -> None:
    keeping(desk)
    desk.server.script = saying(stream_head(), delta("Нача"), END)

    await read(await desk.answer(STREAM))

    (kept,) = desk.kept
    assert answered(kept)["choices"][0]["message"] == {"content": "Нача"}
    assert answered(kept)["error"]["metadata"]["error_type"]


async def test_of_a_stream_whose_reader_leaves_is_kept_what_he_was_given(desk: Reception) -> None:
    keeping(desk)
    desk.server.script = saying(*WHOLE)

    answer = await desk.answer(STREAM)
    await anext(answer.events)
    await answer.events.aclose()

    (kept,) = desk.kept
    assert answered(kept)["choices"][0]["message"] in ({}, {"content": "При"}, {"content": "Привет"})


async def test_of_a_stream_that_is_dropped_unread_what_went_out_is_kept(desk: Reception) -> None:
    keeping(desk)
    desk.server.script = saying(*WHOLE)
    answer = await desk.answer(STREAM)
    await anext(answer.events)

    del answer
    gc.collect()

    assert len(desk.kept) == 1


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "streamed"])
async def test_a_refusal_of_a_request_that_was_let_in_is_kept(desk: Reception, body: dict[str, Any]) -> None:
    keeping(desk)
    desk.server.script = saying(reply({"error": {"message": "no"}}, 500))

    answer = await desk.answer(body)

    (kept,) = desk.kept
    assert kept.answer == answer.body
    assert answered(kept)["error"]


async def test_whoever_leaves_before_the_answer_has_asked_all_the_same(desk: Reception) -> None:
    keeping(desk)
    has_come = asyncio.Event()

    async def silent_after(line: Line) -> None:
        await line.asked()
        has_come.set()
        await line.until_left()

    desk.server.script = silent_after
    asking = asyncio.create_task(desk.answer())
    await asyncio.wait_for(has_come.wait(), 5)

    asking.cancel()
    await asyncio.wait({asking})

    (kept,) = desk.kept
    assert (kept.question.text, kept.answer) == (orjson.dumps(CHAT), b"")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat", CHAT),
        ("chat", STREAM),
        ("text", {"model": "m", "prompt": "Привет"}),
    ],
)
async def test_a_request_can_say_that_nothing_of_it_is_kept(
    desk: Reception, path: str, body: dict[str, Any]
) -> None:
    keeping(desk)

    await read(await desk.answer({**body, "store": False}, path=path))

    assert desk.kept == []


@pytest.mark.parametrize(
    "body",
    [{**CHAT, "model": "unheard-of"}, {**CHAT, "n": 7}, b"{", {**CHAT, "max_tokens": 0}],
    ids=["model", "n", "json", "field"],
)
async def test_what_was_not_let_in_has_no_generation_and_is_not_kept(desk: Reception, body: Any) -> None:
    keeping(desk)

    assert await desk.status(body) in {400, 404}

    assert desk.kept == []


async def test_a_text_is_kept_as_it_was_asked_and_answered(desk: Reception) -> None:
    keeping(desk)
    body = {"model": "m", "prompt": "Жили-были", "echo": True}

    answer = await desk.answer(body, path="text")

    (kept,) = desk.kept
    assert kept.question.text == orjson.dumps(body)
    assert kept.answer == answer.body


@pytest.mark.parametrize("store", [None, False])
async def test_of_vectors_only_the_question_is_kept(store: bool | None) -> None:
    vectors = {
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    async with Vendor(saying(reply(vectors))) as server:
        embedder = replace(route(server.url, model="v"), tools="none", max_output=0)
        async with House(replace(card(embedder, name="v"), kind="embeddings", max_output=0)) as house:
            reception = Reception(server, house)
            keeping(reception)
            body = {"model": "v", "input": ["Привет"], "store": store}

            answer = await reception.answer(body, path="embeddings")

    assert answer.status == 200
    told = [(kept.question.text, kept.answer) for kept in reception.kept]
    assert told == ([] if store is False else [(orjson.dumps(body), b"")])


# Figures --------------------------------------------------------------------------------------------


def asked() -> dict[tuple[str, ...], float]:
    """How many requests were counted, by status, error, streamed and model."""
    labels = ("status", "error", "streamed", "model")
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "xrouter_requests_total"
    }


@pytest.mark.parametrize(
    ("how", "counted"),
    [
        ({}, ("2xx", "", "false", "m")),
        ({"body": {**CHAT, "model": "unheard-of"}}, ("4xx", "model_not_found", "", "")),
        ({"body": b"{"}, ("4xx", "invalid_request", "", "")),
        ({"authorization": f"Bearer {new_key(Kind.LIVE).plaintext}"}, ("4xx", "invalid_api_key", "", "")),
        ({"flaw": TooManyBytes(1)}, ("4xx", "request_too_large", "", "")),
        ({"flaw": ZeroDivisionError()}, ("5xx", "internal_error", "", "")),
    ],
)
async def test_a_request_is_counted_once(
    desk: Reception, how: dict[str, Any], counted: tuple[str, ...]
) -> None:
    before = asked()

    await desk.answer(**how)

    assert {key: n - before.get(key, 0) for key, n in asked().items() if n != before.get(key, 0)} == {
        counted: 1
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_no_provider_answers_is_counted_once(desk: Reception, stream: bool) -> None:
    desk.server.script = saying(reply({"error": {"message": "no"}}, 500))
    before = asked()

    await desk.answer({**CHAT, "stream": stream})

    key = ("5xx", "provider_unavailable", str(stream).lower(), "")
    assert sum(asked().values()) - sum(before.values()) == 1
    assert asked()[key] - before.get(key, 0) == 1
