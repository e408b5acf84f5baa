"""Money: what is charged is what the providers gave, and nobody spends what he has not.

Compared to the micro-rouble, with the providers' own journal.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis

from providers.twins.gigachat import CACHED_ANYWAY
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import MICRO, Client, cost, new_client, price_of, watched
from tests.e2e.stage import WIRES
from tests.e2e.talk import MODELS, Heard, ask, at_once, chat

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
# Questions of every kind: what is said, and the fields beside it.
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("Столица Карелии?", {}),
    ("[[tokens=137]]Расскажи о Карелии", {"stream": True, "stream_options": {"include_usage": True}}),
    ("[[tokens=61]]Расскажи о Казани", {"stream": True}),
    ("Какая погода в Казани?", {"tools": [WEATHER]}),
    ("Какая погода в Омске?", {"tools": [WEATHER], "stream": True}),
    ("Назови реки", {"response_format": {"type": "json_object"}}),
    ("Назови озёра 🦔", {"response_format": {"type": "json_object"}, "stream": True}),
    ("[[tokens=500]]Рассказывай", {"max_tokens": 33}),
    ("[[tokens=500]]Рассказывай", {"max_completion_tokens": 17, "stream": True}),
    ("[[echo]]Ёжик в тумане", {"stream": True, "temperature": 0.5}),
]
ALL_MODELS = (*MODELS, *(f"odd/{wire}" for wire in WIRES))
PAID = 1_000 * MICRO
# Long enough for everybody to have come before the first one is answered.
SLOWLY = "[[ttft_ms=1500]]"


# --- Three hundred requests of all kinds --------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One of many requests: what it asked, what it got, what the provider and the books say of it."""

    tag: str
    model: str
    heard: Heard
    entry: dict[str, Any]  # in the provider's journal
    record: dict[str, Any]

    def due(self, prices: dict[str, dict[str, int]]) -> int:
        """What the provider's tokens cost."""
        cached = CACHED_ANYWAY if self.entry["family"] == "gigachat" else 0
        tokens = self.entry["prompt_tokens"], self.entry["completion_tokens_sent"]
        return cost(prices[self.model], *tokens, cached)


@dataclass(frozen=True)
class Mixture:
    client: Client
    asked: list[Asked]


@pytest.fixture(scope="module")
def mixture(installation: Installation, workers: Server, twins: Twins) -> Mixture:
    """Requests of every kind to every wire, which nothing disturbs."""
    client = new_client(installation, PAID)
    every = [(model, *kind) for model in ALL_MODELS for kind in KINDS * 3]

    def heard(number: int) -> Heard:
        model, text, fields = every[number]
        tag = f"mixture-{number}"
        return ask(workers, client.key, chat(model, f"{text}[[tag={tag}]]", **fields), X_Request_Id=tag)

    batches = [
        at_once(15, lambda number, first=first: heard(first + number)) for first in range(0, len(every), 15)
    ]
    wait_until(client.is_at_rest)
    answers = [answer for batch in batches for answer in batch]
    entries = {entry["tag"]: entry for entry in twins.journal()}
    records = {row["client_request_id"]: row for row in client.records()}
    tags = [f"mixture-{number}" for number in range(len(every))]
    return Mixture(
        client,
        [
            Asked(tag, model, answer, entries[tag], records[tag])
            for tag, (model, *_), answer in zip(tags, every, answers, strict=True)
        ],
    )


@pytest.fixture(scope="module")
def prices(installation: Installation) -> dict[str, dict[str, int]]:
    return {model: price_of(installation, model) for model in ALL_MODELS}


def test_each_request_costs_the_tokens_that_the_provider_gave(
    mixture: Mixture, prices: dict[str, dict[str, int]]
):
    assert {one.heard.status for one in mixture.asked} == {200}
    assert {one.tag: one.record["cost"] for one in mixture.asked} == {
        one.tag: one.due(prices) for one in mixture.asked
    }


def test_the_wallet_is_poorer_by_the_sum_and_by_nothing_else(
    mixture: Mixture, prices: dict[str, dict[str, int]]
):
    due = [one.due(prices) for one in mixture.asked]

    wallet = mixture.client.wallet()

    assert (wallet["balance"], wallet["held"]) == (PAID - sum(due), 0)
    assert sorted(mixture.client.charges()) == sorted(due)


def test_no_provider_is_asked_before_the_money_is_on_hold(mixture: Mixture):
    early = [one.tag for one in mixture.asked if one.record["held_at"].timestamp() > one.entry["t_start"]]

    assert early == []


def test_nothing_costs_more_than_was_on_hold(mixture: Mixture):
    assert [one.tag for one in mixture.asked if one.record["cost"] > one.record["held"]] == []


def test_the_books_are_clean(installation: Installation, mixture: Mixture):
    report = json.loads(installation.manage("ledger_audit", "--json"))

    assert report["clean"] is True


# --- As much as there is ------------------------------------------------------------------------------


def hold_of(installation: Installation, server: Server, body: dict[str, Any]) -> int:
    """What is put on hold for such a request, in micro-roubles."""
    return int(installation.generation(ask(server, new_client(installation).key, body).generation)["held"])


def least_for(installation: Installation, server: Server, body: dict[str, Any]) -> int:
    """The least that such a request has to be paid with."""
    return missing(ask(server, new_client(installation, 0).key, body))


def missing(heard: Heard) -> int:
    """Micro-roubles that a refusal says are missing."""
    assert heard.error, heard
    whole, _, fraction = heard.error["metadata"]["missing"].partition(".")
    return int(whole) * MICRO + int(fraction.ljust(6, "0") or 0)


@pytest.fixture(scope="module")
def lone(installation: Installation, key: str) -> Server:
    """One web process that has never seen Redis."""
    return installation.start_web("lone", REDIS_URL="redis://127.0.0.1:1/0")


@pytest.mark.parametrize("name", ["workers", "lone"])
def test_money_for_three_requests_buys_three_of_fifty(
    request: pytest.FixtureRequest, installation: Installation, twins: Twins, name: str
):
    server: Server = request.getfixturevalue(name)
    body = chat("odd/openai", f"{SLOWLY}[[tag=fifty-{name}]]Привет", max_tokens=40)
    client = new_client(installation, 3 * hold_of(installation, server, {**body, "messages": plain(body)}))

    with watched(client) as moments:
        heard = at_once(50, lambda _: ask(server, client.key, body))

    assert Counter(one.status for one in heard) == {200: 3, 402: 47}
    assert {one.code for one in heard if one.error} == {"insufficient_funds"}
    assert all(missing(one) > 0 for one in heard if one.error)
    assert len(twins.journal(f"fifty-{name}")) == 3
    assert min(moment["available"] for moment in moments) == 0
    assert wait_until(client.is_at_rest)


def plain(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of ``body``, as long but answered at once."""
    return [{**one, "content": "." * len(one["content"])} for one in body["messages"]]


def test_money_for_three_requests_buys_three_however_often_redis_forgets(
    installation: Installation, workers: Server, twins: Twins
):
    body = chat("odd/openai", f"{SLOWLY}[[tag=forgetful]]Привет", max_tokens=40)
    client = new_client(installation, 3 * hold_of(installation, workers, {**body, "messages": plain(body)}))

    with Redis.from_url(installation.redis) as redis:

        def heard(number: int) -> int:
            redis.delete(*redis.scan_iter("xrouter:*"), "nothing")
            return ask(workers, client.key, body).status

        statuses = Counter(at_once(50, heard))

    assert statuses == {200: 3, 402: 47}
    assert len(twins.journal("forgetful")) == 3


def test_without_a_limit_of_the_answer_the_models_own_is_on_hold(
    installation: Installation, workers: Server, twins: Twins
):
    body = chat("odd/openai", f"{SLOWLY}[[tag=unlimited]]Привет")
    held = hold_of(installation, workers, {**body, "messages": plain(body)})
    client = new_client(installation, 5 * held // 2)

    with watched(client) as moments:
        heard = at_once(50, lambda _: ask(workers, client.key, body))

    assert Counter(one.status for one in heard) == {200: 3, 402: 47}
    assert len(twins.journal("unlimited")) == 3
    assert min(moment["available"] for moment in moments) == 0


def test_the_rich_are_not_trusted(installation: Installation, workers: Server, twins: Twins):
    client = new_client(installation, 10_000 * MICRO)
    at_once(50, lambda _: ask(workers, client.key, chat("solo/openai", "Привет")))
    assert wait_until(client.is_at_rest)

    client.pay(1 - client.wallet()["balance"])
    heard = at_once(20, lambda _: ask(workers, client.key, chat("solo/openai", "[[tag=rich-no-more]]Привет")))

    assert {one.status for one in heard} == {402}
    assert twins.journal("rich-no-more") == []
    assert client.wallet()["balance"] == 1


def test_a_key_spends_no_more_than_its_cap_however_many_ask_at_once(
    installation: Installation, workers: Server, twins: Twins
):
    client = new_client(installation)
    capped, free = client.issue_key(cap=2 * MICRO), client.issue_key()
    body = chat("slow/openai", "[[ttft_ms=300]][[tokens=1000]][[tag=capped]]Рассказывай", max_tokens=1000)

    with watched(client) as moments:
        heard = at_once(100, lambda _: ask(workers, capped, body))
    assert wait_until(client.is_at_rest)

    served = sum(one.status == 200 for one in heard)
    spent = PAID - client.wallet()["balance"]
    assert {one.code for one in heard if one.status != 200} == {"key_limit_reached"}
    assert {one.status for one in heard} == {200, 402}
    assert 0 < spent <= 2 * MICRO
    assert max(PAID - moment["available"] for moment in moments) <= 2 * MICRO
    assert len(twins.journal("capped")) == served
    assert ask(workers, free, chat("solo/openai", "Привет")).status == 200


TEXTS = {
    "emoji": "🦔👩‍👩‍👧‍👦" * 2_000,
    "base64": "dGhlIHF1aWNrIGJyb3duIGZveA" * 800,
    "rare letters": "ꙮ𒀱𓂀" * 7_000,
    "one letter": "ё" * 20_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_prompt_of_any_text_fits_its_hold(installation: Installation, workers: Server, text: str):
    client = new_client(installation)

    heard = ask(workers, client.key, chat("odd/openai", text, max_tokens=5))

    record = installation.generation(heard.generation)
    assert heard.status == 200
    assert 0 < record["cost"] < record["held"]


def test_what_a_provider_counts_beyond_the_hold_is_our_loss(installation: Installation, express: Server):
    client = new_client(installation)
    question = "[[fault=usage_over.x=3]][[tokens=1]]" + "ё" * 3_000

    heard = ask(express, client.key, chat("odd/openai", question, max_tokens=5))

    record = installation.generation(heard.generation)
    [overrun] = installation.query(
        "SELECT amount FROM billing_transfer WHERE cause = %s", f"overrun {heard.generation}"
    )
    full = cost(record["price"], record["tokens_prompt"], record["tokens_completion"])
    assert record["usage_source"] == "provider"
    assert record["cost"] == record["held"] == PAID - client.wallet()["balance"]
    assert overrun["amount"] == full - record["held"] > 0


@pytest.mark.parametrize(
    "fields",
    [{"n": 128}, {"n": 2}, {"best_of": 128}, {"max_tokens": 0}, {"max_completion_tokens": -1}],
    ids=str,
)
def test_many_answers_are_not_sold_for_one_price(
    installation: Installation, express: Server, twins: Twins, fields: dict[str, Any]
):
    tag = f"many-{json.dumps(fields)}".translate({ord(letter): "_" for letter in '{}" :'})
    client = new_client(installation)

    heard = ask(express, client.key, chat("solo/openai", f"[[tag={tag}]]Привет", **fields))

    assert heard.status == 400
    assert twins.journal(tag) == []


def test_of_two_limits_the_smaller_one_is_on_hold_and_none_is_beyond_the_models(
    installation: Installation, express: Server
):
    def held(**limits: int) -> int:
        return hold_of(installation, express, chat("odd/openai", "Привет", **limits))

    assert held(max_tokens=100, max_completion_tokens=70) == held(max_tokens=70)
    assert held(max_tokens=70, max_completion_tokens=100) == held(max_tokens=70)
    assert held(max_tokens=10**9) == held()


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("ending", ["", "..", "...."])
def test_exactly_enough_is_enough(
    installation: Installation, express: Server, ending: str, is_streamed: bool
):
    """Whatever fraction of a micro-rouble the prompt costs."""
    body = chat("odd/openai", f"[[tokens=30]]Привет{ending}", stream=is_streamed)
    client = new_client(installation, least_for(installation, express, body))

    heard = ask(express, client.key, body)

    assert (heard.status, heard.finish) == (200, "length")
    assert heard.headers["x-xrouter-max-tokens"] == "1"
    assert wait_until(client.is_at_rest)
    assert client.wallet()["balance"] >= 0


def test_a_micro_rouble_less_is_not_enough(installation: Installation, express: Server, twins: Twins):
    body = chat("odd/openai", "[[tag=less]]Привет")
    client = new_client(installation, least_for(installation, express, body) - 1)

    heard = ask(express, client.key, body)

    assert (heard.status, heard.error["metadata"]["missing"]) == (402, "0.000001")
    assert "0.000001" in heard.error["message"]
    assert heard.headers["x-should-retry"] == "false"
    assert twins.journal("less") == []
    assert client.records() == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_in_between_the_answer_is_shorter_and_says_so(
    installation: Installation, express: Server, is_streamed: bool
):
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    body = chat("odd/openai", "[[tokens=300]]Рассказывай", **options)
    twenty = least_for(installation, express, body) + 19 * 1_501
    client = new_client(installation, twenty)

    heard = ask(express, client.key, body)

    details = heard.usage["cost_details"]
    assert (heard.status, heard.finish) == (200, "length")
    assert heard.headers["x-xrouter-limited-by"] == details["limited_by"] == "balance"
    assert int(heard.headers["x-xrouter-max-tokens"]) == details["max_tokens"] == 20
    assert heard.usage["completion_tokens"] == 20


def test_a_cap_shortens_answers_like_a_small_balance(installation: Installation, express: Server):
    client = new_client(installation)
    body = chat("odd/openai", "[[tokens=300]]Рассказывай")
    capped = client.issue_key(cap=least_for(installation, express, body) + 19 * 1_501)

    heard = ask(express, capped, body)

    assert (heard.status, heard.finish, heard.usage["completion_tokens"]) == (200, "length", 20)
    assert heard.headers["x-xrouter-limited-by"] == "key_limit"


@pytest.mark.parametrize("wire", ["openai", "gigachat", "yandexgpt"])
def test_an_endless_stream_ends_with_the_money(
    installation: Installation, express: Server, twins: Twins, wire: str
):
    body = chat(
        f"odd/{wire}", f"[[fault=infinite.cap=20000]][[delay_ms=2]][[tag=poor-{wire}]]Говори", stream=True
    )
    client = new_client(installation, least_for(installation, express, body) + 49 * 1_501)

    with watched(client) as moments:
        heard = ask(express, client.key, body)
    assert wait_until(client.is_at_rest)

    record = installation.generation(heard.generation)
    assert (heard.status, heard.finish, heard.is_done, heard.error) == (200, "length", True, None)
    assert 0 < record["cost"] <= record["held"]
    assert min(moment["balance"] for moment in moments) >= 0
    assert twins.journal(f"poor-{wire}")[0]["outcome"] == "closed_by_client"


# --- Others' failures, and what is free ----------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("fault", ["billed_reset", "http_503", "slow_first.ms=9000"])
def test_a_failover_is_charged_once_at_the_price_of_who_answered(
    installation: Installation, express: Server, twins: Twins, others: Twins, fault: str, is_streamed: bool
):
    tag = f"failover-{fault.partition('.')[0]}-{is_streamed}"
    client = new_client(installation)
    # A connection that broke when it was used again says nothing of the provider, who is asked once more.
    twins.order(fault, family="openai", times=2)
    body = chat("solo/openai", f"[[tokens=30]][[tag={tag}]]Привет", stream=is_streamed)

    heard = ask(express, client.key, {**body, "models": ["dear/openai"]})
    assert wait_until(client.is_at_rest)

    [entry] = others.journal(tag)
    [record] = client.records()
    tokens = entry["prompt_tokens"], entry["completion_tokens_sent"]
    assert (heard.status, heard.provider) == (200, "b-openai")
    assert client.charges() == [cost(price_of(installation, "dear/openai"), *tokens)]
    assert list(dict.fromkeys(one["provider"] for one in record["attempts"])) == ["a-openai", "b-openai"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_test_key_needs_no_money(installation: Installation, door: Server, is_streamed: bool):
    client = new_client(installation, 0)
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    kind: Any = "test"

    heard = ask(door, client.issue_key(kind), chat("gigachat/pro", "Привет", **options))

    record = installation.generation(heard.generation)
    assert (heard.status, heard.usage["cost"]) == (200, 0)
    assert (record["cost"], record["held"], record["is_test"]) == (0, 0, True)
    assert client.charges() == []
