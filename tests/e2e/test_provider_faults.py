"""Providers that are down, slow, broken or lying: what the customer gets, and what the providers see.

A fault that strikes before the first output costs the customer nothing where another provider serves the
model, and a proper status where none does. After the first output nobody else is asked.
"""

import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import HASTE
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.stage import HURRIED
from tests.e2e.suspects import Front
from tests.e2e.talk import Heard, ask, chat

WIRES = ("gigachat", "yandexgpt", "openai")
FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="streamed")]
TEXT = "Ёжик в тумане 🦔 шёл к медвежонку считать звёзды; «съешь же ещё этих мягких булок» — сказал он. " * 3

_numbers = count(1)


@dataclass(frozen=True)
class Stand:
    """One web server with the express lane, between a customer and the providers A and B."""

    installation: Installation
    server: Server
    key: str
    a: Twins
    b: Twins

    def ask(self, model: str, text: str, **fields: Any) -> Heard:
        return ask(self.server, self.key, chat(model, text, **fields))

    def record(self, heard: Heard) -> dict[str, Any]:
        """The record of the request that brought ``heard``."""
        return self.installation.generation(heard.generation)


@pytest.fixture
def stand(installation: Installation, express: Server, key: str, twins: Twins, others: Twins) -> Stand:
    return Stand(installation, express, key, twins, others)


def said(fault: str = "", tag: str = "", text: str = TEXT) -> str:
    """A question that is answered by ``text`` word for word, and what is to go wrong."""
    orders = [f"[[fault={fault}]]"] * bool(fault) + [f"[[tag={tag}]]"] * bool(tag)
    return "".join(["[[echo]]", *orders, text])


def new_tag() -> str:
    return f"t{next(_numbers)}"


# Fault: (status for the customer where nobody else is asked, error_type)
DOWN = (502, "provider_unavailable")
LATE = (504, "provider_timeout")
BUSY = (429, "provider_overloaded")
BEFORE_OUTPUT = {
    **dict.fromkeys(["http_401", "http_402", "http_403", "http_404", "http_409"], DOWN),
    **dict.fromkeys(["http_500", "http_503", "http_529", "secret_echo", "redirect"], DOWN),
    **dict.fromkeys(["http_503.body=html", "http_503.body=empty", "http_503.body=huge"], DOWN),
    **dict.fromkeys(["reset_before_headers", "close_before_headers", "billed_reset"], DOWN),
    **dict.fromkeys(["cut.after=0", "reset.after=0", "error_event_first", "empty_stream"], DOWN),
    **dict.fromkeys(["ok_empty", "ok_error_body", "ok_html", "ok_badjson"], DOWN),
    **dict.fromkeys(["bad_chunked", "dup_length", "te_and_length", "bad_status", "garbage"], DOWN),
    **dict.fromkeys(["huge_header", "many_headers", "gzip_bad", "gzip_bomb.mb=16"], DOWN),
    "http_408": LATE,
    "http_429": BUSY,
}
# Of these a stream has shown its beginning already, or is whole.
BEFORE_WHOLE = ("ok_trunc", "cut", "reset", "clean_cut", "cut_mid_event", "ok_no_choices", "json_as_stream")
AFTER_OUTPUT = (
    *("cut.after=8", "reset.after=8", "clean_cut.after=8", "cut_mid_event.after=8"),
    *("error_event.after=8", "bad_json.after=8", "ok_trunc"),
)
HARMLESS = (
    *("no_done", "after_done", "utf8_split", "byte_chunks", "coalesced", "stale_keepalive"),
    *("crlf", "crlf_split", "cr", "no_space", "comments", "multiline", "empty_choices", "null_delta"),
    *("wrong_ct", "stream_as_json", "gzip", "http10", "early_hints", "set_cookie", "header_inject"),
    *("no_usage", "null_usage", "zero_usage", "negative_usage", "huge_usage", "overflow_usage"),
    *("float_usage", "string_usage", "usage_over", "usage_under", "total_wrong"),
    *("dup_usage", "usage_every_chunk"),
)
# Headers of providers that no customer may ever see.
FOREIGN = {
    "set-cookie",
    "content-security-policy",
    "strict-transport-security",
    "x-accel-redirect",
    "location",
}


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("fault", "expected"), BEFORE_OUTPUT.items(), ids=BEFORE_OUTPUT)
def test_a_provider_that_fails_alone_is_told_by_a_status(
    stand: Stand, wire: str, fault: str, expected: Any, is_streamed: bool
):
    # Whose twins may take their time: some of this is much to make.
    heard = stand.ask(f"slow/{wire}", said(fault), stream=is_streamed)

    assert (heard.status, heard.error["metadata"]["error_type"]) == expected
    assert heard.headers["content-type"] == "application/json"
    assert heard.error["metadata"]["provider_name"] == f"slow-{wire}"
    assert heard.headers["x-should-retry"] == "true"


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", BEFORE_OUTPUT)
def test_the_next_provider_answers_in_its_place(stand: Stand, wire: str, fault: str, is_streamed: bool):
    tag = new_tag()
    stand.a.order(fault, family=wire, times=2)

    heard = stand.ask(f"pair/{wire}", said(tag=tag), stream=is_streamed)

    assert (heard.status, heard.error, heard.text) == (200, None, TEXT)
    assert (heard.provider, heard.finish, heard.is_done) == (f"b-{wire}", "stop", True)
    assert heard.attempts <= 3
    assert len(stand.b.journal(tag)) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", BEFORE_WHOLE)
def test_half_an_answer_is_none(stand: Stand, wire: str, fault: str):
    tag = new_tag()

    alone = stand.ask(f"solo/{wire}", said(fault))
    stand.a.order(fault, family=wire)
    paired = stand.ask(f"pair/{wire}", said(tag=tag))

    assert alone.status == 502
    assert (paired.status, paired.text, paired.provider) == (200, TEXT, f"b-{wire}")
    assert len(stand.b.journal(tag)) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", AFTER_OUTPUT)
def test_a_stream_that_breaks_says_so_and_nobody_else_is_asked(stand: Stand, wire: str, fault: str):
    tag = new_tag()
    stand.a.order(fault, family=wire)
    question = f"[[nonce]][[tokens=200]][[tag={tag}]]Расскажи"

    heard = stand.ask(f"pair/{wire}", question, stream=True)

    (entry,) = stand.a.journal(tag)
    assert (heard.status, heard.finish, heard.is_done) == (200, "error", True)
    assert heard.error["code"] == 502
    assert heard.error["metadata"]["request_id"] == heard.headers["x-request-id"]
    assert heard.text.count(entry["nonce"]) == 1
    assert heard.text.startswith("[двойник]")
    assert "\ufffd" not in heard.text
    assert stand.b.journal(tag) == []


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", HARMLESS)
def test_oddities_leave_the_answer_as_it_is(stand: Stand, wire: str, fault: str, is_streamed: bool):
    heard = stand.ask(f"solo/{wire}", said(fault), stream=is_streamed)
    after = stand.ask(f"solo/{wire}", said(), stream=is_streamed)

    assert (heard.status, heard.error, heard.text, heard.finish) == (200, None, TEXT, "stop")
    assert heard.is_done
    assert FOREIGN.isdisjoint(name.lower() for name in heard.headers)
    assert heard.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in heard.headers
    assert after.text == TEXT


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("fault", ["http_401", "http_429", "ok_html", "cut.after=8", "no_done"])
def test_the_other_door_tells_the_same(stand: Stand, framework: Server, fault: str, is_streamed: bool):
    for model in ("solo/openai", "pair/openai"):
        express, other = (
            ask(door, stand.key, chat(model, said(fault), stream=is_streamed))
            for door in (stand.server, framework)
        )

        assert (express.status, express.finish, express.is_done) == (
            other.status,
            other.finish,
            other.is_done,
        )
        assert express.attempts == other.attempts
        assert (express.error or {}).get("message") == (other.error or {}).get("message")
        assert express.text == other.text


# Fault: where the record's token counts come from.
USAGES = {
    **dict.fromkeys(["no_usage", "null_usage", "zero_usage", "negative_usage"], "estimated"),
    **dict.fromkeys(["huge_usage", "overflow_usage", "float_usage", "usage_over.x=50"], "estimated"),
    **dict.fromkeys(["string_usage", "usage_over", "total_wrong", "dup_usage"], "provider"),
    "usage_every_chunk": "provider",
}


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("fault", "source"), USAGES.items(), ids=USAGES)
def test_a_count_that_cannot_be_true_is_replaced_by_our_own(
    stand: Stand,
    wire: str,
    fault: str,
    source: str,
    is_streamed: bool,
):
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    honest = stand.ask(f"solo/{wire}", said(), **options)

    heard = stand.ask(f"solo/{wire}", said(fault), **options)

    record = stand.record(heard)
    usage = heard.usage
    assert record["usage_source"] == source
    assert (record["tokens_prompt"], record["tokens_completion"]) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens"] <= 4 * honest.usage["completion_tokens"] + 50


# --- Rows of their own -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["http_400", "http_422"])
def test_a_request_the_provider_rejects_is_asked_of_nobody_else(
    stand: Stand, wire: str, fault: str, is_streamed: bool
):
    tag = new_tag()
    stand.a.order(fault, family=wire)

    heard = stand.ask(f"pair/{wire}", said(tag=tag), stream=is_streamed)

    assert (heard.status, heard.error["metadata"]["error_type"]) == (400, "provider_rejected")
    assert heard.headers["x-should-retry"] == "false"
    assert stand.b.journal(tag) == []


@pytest.mark.parametrize("wire", ["yandexgpt", "openai"])
@pytest.mark.parametrize("fault", ["http_413", "early_413"])
def test_a_request_too_large_for_one_may_suit_another(stand: Stand, wire: str, fault: str):
    large = said(text="x" * 100_000)
    stand.a.order(fault, family=wire, times=2)

    alone = stand.ask(f"solo/{wire}", large)
    paired = stand.ask(f"pair/{wire}", large)

    assert (alone.status, alone.error["metadata"]["error_type"]) == (413, "request_too_large")
    assert (paired.status, paired.provider, len(paired.text)) == (200, f"b-{wire}", 100_000)


@pytest.mark.parametrize(
    ("said_by_provider", "waits"), [("1", 1), ("bad", 5), ("neg", 5), ("huge", 60), ("", 5)]
)
@pytest.mark.parametrize("wire", WIRES)
def test_a_busy_provider_is_told_with_a_sensible_wait(
    stand: Stand, wire: str, said_by_provider: str, waits: int
):
    fault = f"http_429.ra={said_by_provider}" if said_by_provider else "http_429"

    heard = stand.ask(f"solo/{wire}", said(fault))

    assert (heard.status, heard.headers["retry-after"]) == (429, str(waits))
    assert heard.error["metadata"]["retry_after"] == waits


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_our_own_bad_credential_is_never_the_customers(stand: Stand, wire: str, is_streamed: bool):
    before = len(stand.server.program.events("a provider did not answer"))

    alone = stand.ask(f"bad/{wire}", said(), stream=is_streamed)
    paired = stand.ask(f"pair/bad-{wire}", said(), stream=is_streamed)

    lines = stand.server.program.events("a provider did not answer")[before:]
    assert (alone.status, alone.error["metadata"]["error_type"]) == DOWN
    assert (paired.status, paired.text, paired.provider) == (200, TEXT, f"b-{wire}")
    assert {line["provider"] for line in lines} == {f"bad-{wire}"}
    assert {line["level"] for line in lines} == {"error"}
    assert all(line["credential"] for line in lines)


UNREACHABLE = {
    "refused": DOWN,
    "hanging": LATE,
    "no-name": DOWN,
    "mute-tls": LATE,
    "alert-tls": DOWN,
    "reset-tls": DOWN,
    "no-tls": DOWN,
    "self-signed": DOWN,
    "wrong-name": DOWN,
}
# Where it is the address that is wrong, or who answers there: the operator's to mend, and no weather.
HIS = {"no-name", "alert-tls", "no-tls", "self-signed", "wrong-name"}


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize(("place", "expected"), UNREACHABLE.items(), ids=UNREACHABLE)
def test_a_provider_that_cannot_be_reached(stand: Stand, place: str, expected: Any, is_streamed: bool):
    told = "a provider did not answer"
    before = len(stand.server.program.events(told))

    alone = stand.ask(f"solo/{place}", said(), stream=is_streamed)
    paired = stand.ask(f"pair/{place}", said(), stream=is_streamed)

    assert (alone.status, alone.error["metadata"]["error_type"]) == expected
    assert alone.seconds < 5
    assert (paired.status, paired.text, paired.provider) == (200, TEXT, "b-openai")
    assert (stand.record(alone)["status"], stand.record(alone)["cost"]) == ("failed", 0)
    lines = stand.server.program.events(told)[before:]
    assert {(line["level"], line["provider"]) for line in lines} == {
        ("error" if place in HIS else "warning", place)
    }


def test_a_certificate_is_trusted_only_where_its_roots_are_given(
    stand: Stand, self_signed: Front, wrong_name: Front
):
    received = self_signed.received

    known = stand.ask("solo/own-roots", said())
    stand.ask("solo/self-signed", said())
    stand.ask("solo/wrong-name", said())

    assert known.text == TEXT
    # Not a byte of a request, and no credential, went to whom we do not know.
    assert (received, wrong_name.received) == (0, 0)


@pytest.mark.parametrize("kind", ["reset_on_accept", "close_on_accept"])
@pytest.mark.parametrize(("model", "status"), [("solo/hasty", 502), ("pair/hasty", 200)])
def test_a_connection_that_dies_when_made(stand: Stand, hasty: Twins, kind: str, model: str, status: int):
    assert wait_until(lambda: not hasty.connections())
    # One more than is needed: a connection that broke before the request was sent is made once more.
    hasty.order(kind, times=2)

    heard = stand.ask(model, said())
    hasty.calm()

    assert heard.status == status
    assert heard.text == (TEXT if status == 200 else "")


@pytest.mark.parametrize("is_streamed", FORMS)
def test_a_stale_connection_is_replaced_without_anybody_noticing(stand: Stand, is_streamed: bool):
    stand.a.order("stale_keepalive", family="openai")
    stand.ask("solo/openai", said())

    heard = stand.ask("solo/openai", said(), stream=is_streamed)

    assert (heard.status, heard.text) == (200, TEXT)


def test_a_provider_that_closes_idle_connections_early_costs_nothing(stand: Stand, hasty: Twins):
    """Requests come just when the provider's patience with an idle connection ends."""
    pauses = [HASTE - 0.005 + 0.001 * step for step in range(10)] * 2

    def heard(_: int) -> list[Heard]:
        answers = []
        for pause in pauses:
            answers.append(stand.ask("solo/hasty", said()))
            time.sleep(pause)
        return answers

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for lane in pool.map(heard, range(4)) for answer in lane]

    assert [(answer.status, answer.text) for answer in answers] == [(200, TEXT)] * 80


@pytest.mark.parametrize("wire", WIRES)
def test_a_flapping_provider_is_not_noticed(stand: Stand, wire: str):
    stand.a.order("http_500", family=wire, sticky=True, probability=0.5)

    heard = [stand.ask(f"pair/{wire}", said()) for _ in range(40)]

    assert [(one.status, one.text) for one in heard] == [(200, TEXT)] * 40
    assert {one.provider for one in heard} == {f"a-{wire}", f"b-{wire}"}


def test_a_limit_of_simultaneous_answers_sends_the_rest_elsewhere(stand: Stand):
    stand.a.control("POST", "/__limits", {"family": "openai", "concurrency": 1})
    try:
        with ThreadPoolExecutor(20) as pool:
            heard = list(pool.map(lambda _: stand.ask("pair/openai", said()), range(20)))
    finally:
        stand.a.control("POST", "/__limits", {"family": "openai", "concurrency": 0})

    assert [(one.status, one.text) for one in heard] == [(200, TEXT)] * 20


def test_two_broken_providers_give_one_error_after_three_attempts_at_most(stand: Stand):
    tag = new_tag()

    heard = stand.ask("pair/openai", said("http_503", tag))

    assert (heard.status, heard.attempts) == (502, 2)
    assert len(stand.a.journal(tag)) + len(stand.b.journal(tag)) == 2


def test_nobody_else_is_asked_where_the_customer_forbids_it(stand: Stand):
    tag = new_tag()
    stand.a.order("http_503", family="openai")

    heard = stand.ask("pair/openai", said(tag=tag), provider={"allow_fallbacks": False})

    assert heard.status == 502
    assert stand.b.journal(tag) == []


def test_redirects_are_not_followed(stand: Stand):
    for code in ("301", "302", "307", "308"):
        bait = f"{stand.a.url}/__bait/{code}"
        stand.a.control(
            "POST",
            "/__fault",
            {"kind": "redirect", "family": "openai", "args": {"code": code, "to": bait}},
        )

        assert stand.ask("solo/openai", said()).status == 502

    assert stand.a.control("GET", "/__summary")["bait_hits"] == 0


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_censored_answer_says_so(stand: Stand, wire: str, is_streamed: bool):
    other = f"pair/{wire}"  # is not asked: what the filter has left is an answer
    heard = stand.ask(f"solo/{wire}", said("blacklist"), stream=is_streamed, models=[other])

    assert (heard.status, heard.finish, heard.attempts) == (200, "content_filter", 1)
    assert heard.provider == f"a-{wire}"


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_markup_is_text_and_the_models_name_is_ours(stand: Stand, wire: str, is_streamed: bool):
    heard = stand.ask(f"solo/{wire}", said("xss"), stream=is_streamed)

    assert "<script>alert(1)</script>" in heard.text
    assert heard.headers["x-xrouter-model"] == f"solo/{wire}"
    assert heard.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["ok_nul", "ok_surrogate", "bad_utf8", "ok_deep", "ok_nan"])
def test_what_no_json_should_hold_is_an_answer_or_a_proper_error(
    stand: Stand, wire: str, fault: str, is_streamed: bool
):
    heard = stand.ask(f"solo/{wire}", said(fault), stream=is_streamed)

    record = stand.record(heard)
    assert heard.status in {200, 502}
    assert heard.is_done
    assert heard.error is None or heard.error["code"] == 502
    assert record["status"] == ("failed" if heard.error else "ok")


def test_text_that_the_vendor_takes_back_ends_the_stream(stand: Stand):
    text = f"[двойник] {TEXT}"

    heard = stand.ask("solo/yandexgpt", said("yandex_rewrite.after=3", text=text), stream=True)

    assert heard.finish == "error"
    assert text.startswith(heard.text)


@pytest.mark.parametrize("wire", WIRES)
def test_large_events_pass_and_enormous_ones_are_refused(stand: Stand, wire: str):
    process = psutil.Process(stand.server.program.pid)
    large = stand.ask(f"slow/{wire}", said("huge_chunk.kb=2048"), stream=True)
    before = process.memory_info().rss
    enormous = stand.ask(f"slow/{wire}", said("huge_chunk.kb=65536"), stream=True)
    grown = process.memory_info().rss - before

    # Far longer than an answer may be: nothing more is passed on. YandexGPT has its end in the same event.
    ending = "stop" if wire == "yandexgpt" else "length"
    assert (large.finish, len(large.text)) == (ending, len(TEXT) + 2048 * 512)
    assert (enormous.status, enormous.code, enormous.finish) == (200, "provider_unavailable", "error")
    assert grown < 64 << 20


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_bomb_neither_fills_memory_nor_holds_up_others(stand: Stand, wire: str, is_streamed: bool):
    process = psutil.Process(stand.server.program.pid)
    before = process.memory_info().rss

    with ThreadPoolExecutor(1) as pool:
        bomb = pool.submit(stand.ask, f"slow/{wire}", said("gzip_bomb.mb=128"), stream=is_streamed)
        pings = [ping(stand.server) for _ in while_running(bomb)]

    assert bomb.result().status == 502
    assert max(pings, default=0) < 1
    assert process.memory_info().rss - before < 64 << 20


def ping(server: Server) -> float:
    """Seconds the web process takes to say that it is alive. No twin is asked: it is busy with the bomb."""
    started = time.monotonic()
    urllib.request.urlopen(f"{server.root}/healthz", timeout=60).close()  # noqa: S310
    return time.monotonic() - started


def while_running(future: Any) -> Iterator[None]:
    while not future.done():
        yield


# --- Faults that take their time ----------------------------------------------------------------------


def test_slow_providers_give_way_in_time(stand: Stand):
    """All at once, because each has to be waited for."""
    names = ("blackhole", "slow_headers", "drip_headers", "slow_first", "stall", "slow_body")
    asked = [
        (name, is_streamed, allow)
        for name in names
        for is_streamed in (False, True)
        for allow in (False, True)
    ]

    def heard(name: str, is_streamed: bool, allow: bool) -> Heard:
        wish = {"allow_fallbacks": allow}
        return stand.ask(f"late/{name}", said(), stream=is_streamed, provider=wish)

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = dict(zip(asked, pool.map(lambda one: heard(*one), asked), strict=True))

    for (name, is_streamed, allow), answer in answers.items():
        told = (name, is_streamed, allow, answer.error)
        if allow:
            assert (answer.status, answer.text, answer.provider) == (200, TEXT, "b-openai"), told
        else:
            assert (answer.status, answer.error["metadata"]["error_type"]) == LATE, told
        assert answer.seconds < 5, told


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_stalls_is_ended_and_the_provider_let_go(stand: Stand, wire: str):
    tag = new_tag()

    heard = stand.ask(f"solo/{wire}", said("stall.after=3", tag), stream=True)

    assert (heard.status, heard.finish, heard.is_done) == (200, "error", True)
    assert heard.error["metadata"]["error_type"] == "provider_timeout"
    assert heard.text
    assert TEXT.startswith(heard.text)
    assert heard.seconds < 4
    assert wait_until(lambda: stand.a.journal(tag)[0]["outcome"] == "closed_by_client", 1)


def test_an_endless_stream_ends_with_its_time(stand: Stand):
    tag = new_tag()
    question = said("infinite.cap=2000000", tag=f"{tag}]][[delay_ms=5")

    heard = stand.ask("solo/openai", question, stream=True)

    assert (heard.status, heard.finish, heard.is_done) == (200, "error", True)
    assert heard.error["metadata"]["error_type"] == "provider_timeout"
    assert heard.seconds < HURRIED["total"] + 1
    assert wait_until(lambda: stand.a.journal(tag)[0]["outcome"] == "closed_by_client", 1)


@pytest.mark.parametrize("wire", WIRES)
def test_an_endless_stream_ends_with_its_limit(stand: Stand, wire: str):
    tag = new_tag()

    question = said("infinite.cap=20000", tag=f"{tag}]][[delay_ms=2")

    heard = stand.ask(f"slow/{wire}", question, stream=True, max_tokens=50)

    assert (heard.status, heard.finish, heard.is_done) == (200, "length", True)
    row = stand.record(heard)
    assert (row["finish_reason"], row["tokens_completion"]) == ("length", 50)
    assert 0 < row["cost"] <= row["held"]
    [seen] = wait_until(lambda: [e for e in stand.a.journal(tag) if e["outcome"] == "closed_by_client"], 1)
    # Our count of a foreign tokenizer's tokens is a lower bound: it may let some more pass.
    assert seen["completion_tokens_sent"] < 500


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_pause_below_the_limit_is_waited_out(stand: Stand, wire: str, is_streamed: bool):
    question = said("stall_resume.after=3.hold=0.5")

    heard = stand.ask(f"solo/{wire}", question, stream=is_streamed)

    assert (heard.status, heard.text, heard.finish) == (200, TEXT, "stop")


def test_a_customer_who_waits_is_sent_comments(stand: Stand):
    """Takes 11 seconds: proxies cut a silence of 15."""
    questions = (f"[[ttft_ms=11000]]{said()}", said("stall_resume.after=3.hold=11"))

    with ThreadPoolExecutor(2) as pool:
        heard = list(pool.map(lambda said: stand.ask("slow/openai", said, stream=True), questions))

    assert [(one.status, one.text, one.comments) for one in heard] == [(200, TEXT, 1)] * 2
