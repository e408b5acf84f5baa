"""Who pays what: for each way in which an answer can end, what the customer is charged; see docs/money.md.

``full``: what the provider says it gave. ``delivered``: the prompt and what has arrived, by our own count.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import requests

from tests.e2e.installation import Installation, Server, Twins
from tests.e2e.market import MICRO, Client, cost, estimate, new_client, price_of
from tests.e2e.talk import Heard, ask, at_once, chat

FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="streamed")]
WIRES = ("openai", "gigachat", "yandexgpt")
TEXT = "Ёжик в тумане 🦔 шёл к медвежонку считать звёзды; «съешь же ещё этих мягких булок» — сказал он. " * 3
NOTHING, FULL, DELIVERED = "nothing", "full", "delivered"

_numbers = count(1)


@dataclass(frozen=True)
class Desk:
    """A customer at a server, and the provider that answers him."""

    server: Server
    client: Client
    twins: Twins

    def ask(self, model: str, text: str, **fields: Any) -> Heard:
        return ask(self.server, self.client.key, chat(model, text, **fields))

    def record(self, heard: Heard) -> dict[str, Any]:
        return self.client.installation.generation(heard.generation)

    def charged(self, heard: Heard) -> int:
        """Micro-roubles that were taken for the answer, once it is settled."""
        self.record(heard)
        moved = "SELECT amount FROM billing_transfer WHERE cause = %s AND code = 'charge'"
        return sum(row["amount"] for row in self.client.installation.query(moved, heard.generation))

    def cost(self, model: str, prompt: int, completion: int) -> int:
        return cost(price_of(self.client.installation, model), prompt, completion)

    def own_count(self, heard: Heard, model: str, question: str) -> int:
        """What the text that came in answer to ``question`` costs, where no provider counts."""
        prompt = self.record(heard)["tokens_prompt"]
        # Our own count of a prompt knows of roles and frames, too.
        assert 0 <= prompt - estimate(question) <= 8
        return self.cost(model, prompt, -(-len(heard.text) // 3))


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    return new_client(installation)


@pytest.fixture
def desk(client: Client, express: Server, twins: Twins) -> Desk:
    return Desk(express, client, twins)


# Fault: what the customer pays of a whole answer, and of a stream; with what status.
TABLE: dict[str, tuple[tuple[int, str], tuple[int, str]]] = {
    "": ((200, FULL), (200, FULL)),
    **dict.fromkeys(["no_done", "byte_chunks", "blacklist"], ((200, FULL), (200, FULL))),
    **dict.fromkeys(["http_500", "http_401", "billed_reset"], ((502, NOTHING), (502, NOTHING))),
    "http_400": ((400, NOTHING), (400, NOTHING)),
    "http_429": ((429, NOTHING), (429, NOTHING)),
    "slow_first.ms=9000": ((504, NOTHING), (504, NOTHING)),
    **dict.fromkeys(["ok_empty", "empty_stream", "ok_html"], ((502, NOTHING), (502, NOTHING))),
    **dict.fromkeys(["cut.after=0", "error_event_first"], ((502, NOTHING), (502, NOTHING))),
    **dict.fromkeys(
        ["cut.after=5", "reset.after=5", "cut_mid_event.after=5"], ((502, NOTHING), (200, DELIVERED))
    ),
    **dict.fromkeys(["clean_cut.after=5", "error_event.after=5"], ((502, NOTHING), (200, DELIVERED))),
    "stall.after=5": ((504, NOTHING), (200, DELIVERED)),
}


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize(("fault", "expected"), TABLE.items(), ids=[fault or "none" for fault in TABLE])
def test_the_customer_pays_for_what_he_got(desk: Desk, fault: str, expected: Any, is_streamed: bool):
    status, due = expected[is_streamed]
    tag = f"pays-{next(_numbers)}"
    question = f"[[echo]]{ordered(fault)}[[tag={tag}]]{TEXT}"

    heard = desk.ask("solo/openai", question, stream=is_streamed)

    assert heard.status == status
    assert desk.charged(heard) == what_is(due, desk, heard, question, tag)


def ordered(fault: str) -> str:
    return f"[[fault={fault}]]" if fault else ""


def what_is(due: str, desk: Desk, heard: Heard, question: str, tag: str) -> int:
    """Micro-roubles."""
    if due == NOTHING:
        return 0
    if due == DELIVERED:
        return desk.own_count(heard, "solo/openai", question)
    [entry] = desk.twins.journal(tag)
    return desk.cost("solo/openai", entry["prompt_tokens"], entry["completion_tokens_sent"])


# --- Token counts that cannot be true ------------------------------------------------------------------

OWN_COUNT = ("no_usage", "null_usage", "zero_usage", "negative_usage", "huge_usage", "overflow_usage")
OWN_COUNT += ("float_usage", "usage_over.x=50")
THEIR_COUNT = ("", "string_usage", "usage_over.x=2", "usage_under.x=2", "total_wrong", "dup_usage")
THEIR_COUNT += ("usage_every_chunk",)


def with_usage(is_streamed: bool) -> dict[str, Any]:
    """Fields of a request whose usage the customer is told."""
    return {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_where_the_count_cannot_be_true_ours_is_charged(desk: Desk, wire: str, is_streamed: bool):
    model = f"odd/{wire}"
    questions = [f"[[echo]]{ordered(fault)}{TEXT}" for fault in OWN_COUNT]

    heard = at_once(len(questions), lambda number: desk.ask(model, questions[number], stream=is_streamed))

    charged = {fault: desk.charged(one) for fault, one in zip(OWN_COUNT, heard, strict=True)}
    records = [desk.record(one) for one in heard]
    assert charged == {
        fault: desk.own_count(one, model, question)
        for fault, one, question in zip(OWN_COUNT, heard, questions, strict=True)
    }
    assert {one.text for one in heard} == {TEXT}
    assert {record["usage_source"] for record in records} == {"estimated"}
    assert all(record["cost"] <= record["held"] for record in records)


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_count_that_can_be_true_is_charged_once(desk: Desk, wire: str, is_streamed: bool):
    model = f"odd/{wire}"
    tags = {fault: f"true-{next(_numbers)}" for fault in THEIR_COUNT}
    options = with_usage(is_streamed)

    def asked(number: int) -> Heard:
        fault = THEIR_COUNT[number]
        return desk.ask(model, f"[[echo]]{ordered(fault)}[[tag={tags[fault]}]]{TEXT}", **options)

    heard = dict(zip(THEIR_COUNT, at_once(len(THEIR_COUNT), asked), strict=True))

    said = {fault: tokens_said(desk, fault, tag) for fault, tag in tags.items()}
    told = {
        fault: (one.usage["prompt_tokens"], one.usage["completion_tokens"]) for fault, one in heard.items()
    }
    assert told == said
    assert {fault: desk.charged(one) for fault, one in heard.items()} == {
        fault: desk.cost(model, *tokens) for fault, tokens in said.items()
    }


def tokens_said(desk: Desk, fault: str, tag: str) -> tuple[int, int]:
    """What the provider says it took and gave."""
    [entry] = desk.twins.journal(tag)
    share = {"usage_over.x=2": 2.0, "usage_under.x=2": 0.5}.get(fault, 1.0)
    return round(entry["prompt_tokens"] * share), round(entry["completion_tokens_sent"] * share)


def test_a_customer_who_leaves_running_counts_is_charged_by_one_of_them(
    installation: Installation, desk: Desk
):
    """Usage in every chunk, and no end: neither their sum nor theirs and ours."""
    question = "[[fault=usage_every_chunk]][[tokens=4000]][[chunks=1000]][[delay_ms=5]]Рассказывай"
    body = chat("slow/openai", question, stream=True)

    with post(desk, body) as answer:
        lines = answer.iter_lines()
        for _ in range(40):
            next(lines)

    record = installation.generation(answer.headers["x-generation-id"])
    assert record["status"] == "cancelled"
    assert record["cost"] == desk.cost("slow/openai", record["tokens_prompt"], record["tokens_completion"])
    assert 0 < record["tokens_completion"] < 1_000


def post(desk: Desk, body: dict[str, Any]) -> requests.Response:
    """The beginning of an answer."""
    login = {"Authorization": f"Bearer {desk.client.key}"}
    return requests.post(
        f"{desk.server.base_url}/chat/completions", json=body, headers=login, stream=True, timeout=30
    )


# --- One sum, wherever it is told ----------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("model", ["odd/openai", "gigachat/pro", "yandexgpt/lite"])
def test_the_same_cost_is_told_everywhere(
    client: Client, door: Server, twins: Twins, model: str, is_streamed: bool
):
    desk = Desk(door, client, twins)
    before = client.wallet()["balance"]

    heard = desk.ask(model, "Назови столицу Карелии", **with_usage(is_streamed))

    charged = desk.charged(heard)
    assert charged > 0
    assert before - client.wallet()["balance"] == charged
    assert (heard.usage["cost"], generation(desk, heard)["total_cost"]) == (charged / MICRO, charged / MICRO)
    assert float(heard.headers.get("x-xrouter-cost", charged / MICRO)) == charged / MICRO
    assert ("x-xrouter-cost" in heard.headers) is not is_streamed


@pytest.mark.parametrize("is_streamed", FORMS)
def test_the_parts_of_the_cost_are_told(client: Client, door: Server, twins: Twins, is_streamed: bool):
    desk = Desk(door, client, twins)

    usage = desk.ask("odd/openai", "Назови столицу Карелии", **with_usage(is_streamed)).usage

    details = usage["cost_details"]
    parts = [value for name, value in details.items() if name.endswith("_cost") and value]
    assert sum(parts) == pytest.approx(usage["cost"], abs=0.5 / MICRO)
    assert (details["currency"], details["usage_source"]) == ("RUB", "provider")


def generation(desk: Desk, heard: Heard) -> dict[str, Any]:
    """What ``GET /v1/generation`` says."""
    login = {"Authorization": f"Bearer {desk.client.key}"}
    address = f"{desk.server.base_url}/generation"
    answer = requests.get(address, {"id": heard.generation}, headers=login, timeout=10)
    return dict(answer.json()["data"])
