"""The story of a request for vectors over real sockets: what is asked of whom, and what it costs."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from struct import pack
from typing import Any

import orjson
import pytest

from billing.errors import InsufficientFunds
from billing.pricing import Price, PriceList
from providers.errors import Broken, Busy
from routing.archive import asked_again, described, kept, revived
from routing.call import Call
from routing.catalogue import Card, Catalogue
from routing.embeddings.ticket import EmbeddingsTicket
from routing.errors import BadRequest, NobodyAnswered, NoRoute, TextTooLong, UnknownModel
from routing.meter import measure_texts
from routing.models import AUTO
from routing.policy import decide
from routing.route import Route
from tests.gateways import BEGINNING, House, Script, caller, card, route
from tests.servers import Line, Vendor, reply

# Micro-roubles for a million tokens: a token of a text is three, whatever a prompt costs.
PRICE = Price(prompt=7 * 10**6, completion=9 * 10**6, embedding=3 * 10**6)
FIVE = ["раз", "два", "три", "четыре", "пять"]


def vector(text: str) -> list[float]:
    return [float(len(text)), 0.5, float(sum(text.encode()) % 100)]


def answer(asked: Any, **usage: Any) -> dict[str, Any]:
    """A host's answer, in an order of its own; a token for each letter."""
    texts = asked["input"]
    data = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
    count = sum(map(len, texts))
    return {"data": data[::-1], "usage": {"prompt_tokens": count, "total_tokens": count}, **usage}


def embedding(*before: Callable[[Line], bytes] | bytes | None, **usage: Any) -> Script:
    """A host that first says what is in ``before``, one for each request; None is a good answer."""
    said = list(before)

    async def script(line: Line) -> None:
        while True:
            asked = (await line.asked()).json
            odd = said.pop(0) if said else None
            await line.say(odd or reply(answer(asked, **usage)))

    return script


def texts_route(url: str, slug: str = "a", **facts: Any) -> Route:
    made = route(url, slug, model="v", priority=ord(slug) - ord("a"))
    return replace(made, tools="none", max_output=0, prices=PriceList(((BEGINNING, PRICE),)), **facts)


def texts_card(*routes: Route, name: str = "v") -> Card:
    return replace(card(*routes, name=name), kind="embeddings", max_output=0)


def house_of(*servers: Vendor, wealth: int = 10**9, **facts: Any) -> House:
    routes = (texts_route(server.url, "ab"[n], **facts) for n, server in enumerate(servers))
    return House(texts_card(*routes), card(route("http://127.0.0.1:9")), wealth=wealth)


async def admitted(house: House, texts: Any = ("раз",), **fields: Any) -> EmbeddingsTicket:
    asked = {"model": "v", "input": list(texts), **fields}
    return await house.embedder.admit(caller(), asked, Call("req_1", "127.0.0.1"))


async def embed(house: House, texts: Any = ("раз",), **fields: Any) -> dict[str, Any]:
    ticket = await admitted(house, texts, **fields)
    return orjson.loads(orjson.dumps(await house.embedder.embed(ticket)))


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(embedding()) as server:
        yield server


# --- The answer ----------------------------------------------------------------------------------------


async def test_vectors_come_in_the_order_of_the_texts(vendor: Vendor):
    async with house_of(vendor) as house:
        said = await embed(house, FIVE)

    assert said["object"] == "list"
    assert [each["embedding"] for each in said["data"]] == [vector(text) for text in FIVE]
    assert [(each["object"], each["index"]) for each in said["data"]] == [("embedding", n) for n in range(5)]
    assert (said["model"], said["provider"], said["id"][:4]) == ("v", "a", "gen-")


async def test_base64_is_little_endian_float32(vendor: Vendor):
    async with house_of(vendor) as house:
        said = await embed(house, FIVE, encoding_format="base64")

    assert said["data"][3]["embedding"] == b64encode(pack("<3f", *vector("четыре"))).decode()
    assert vendor.requests[0].json["encoding_format"] == "base64"


async def test_many_texts_go_in_parts_and_come_as_one(vendor: Vendor):
    async with house_of(vendor, options={"texts_at_once": 2}) as house:
        said = await embed(house, FIVE)
        [record] = house.book.records

    assert [request.json["input"] for request in vendor.requests] == [FIVE[:2], FIVE[2:4], FIVE[4:]]
    assert [each["index"] for each in said["data"]] == [0, 1, 2, 3, 4]
    assert [each["embedding"] for each in said["data"]] == [vector(text) for text in FIVE]
    assert len(house.book.asks) == 1
    assert (record.status, len(record.attempts), record.tokens_prompt) == ("ok", 1, sum(map(len, FIVE)))
    assert vendor.connections == 1


async def test_a_slot_is_taken_once_and_given_back(vendor: Vendor):
    async with house_of(vendor, options={"texts_at_once": 1}) as house:
        [login] = texts_route(vendor.url).upstream.logins
        taken = []
        take = house.slots.take
        house.slots.take = lambda login: taken.append(login) or take(login)
        await embed(house, FIVE)

        assert (len(taken), house.slots.used(login)) == (1, 0)


async def test_vectors_of_several_widths_are_no_answer():
    odd = reply({"data": [{"index": 0, "embedding": [1.0]}]})
    async with (
        Vendor(embedding(None, odd)) as server,
        house_of(server, options={"texts_at_once": 1}) as house,
    ):
        ticket = await admitted(house, FIVE)
        with pytest.raises(Broken):
            await house.embedder.embed(ticket)

        assert [record.cost for record in house.book.records] == [0]


async def test_fields_that_only_chats_have_mean_nothing(vendor: Vendor):
    async with house_of(vendor) as house:
        await embed(house, stream=True, temperature="hot", top_p=9)
        [record], [ask] = house.book.records, house.book.asks

    assert (record.temperature, record.top_p, record.repetition_penalty) == (None, None, None)
    assert not (record.streamed or ask.streamed)
    assert vendor.requests[0].json.keys() == {"model", "input"}


# --- Money ---------------------------------------------------------------------------------------------


async def test_a_token_costs_the_price_of_embeddings(vendor: Vendor):
    async with house_of(vendor) as house:
        said = await embed(house, FIVE)
        [record], [ask] = house.book.records, house.book.asks

    tokens = sum(map(len, FIVE))
    assert record.cost == 3 * tokens
    assert record.usage_source == "provider"
    assert said["usage"].keys() == {"prompt_tokens", "total_tokens", "cost", "cost_details"}
    assert (said["usage"]["prompt_tokens"], said["usage"]["total_tokens"]) == (tokens, tokens)
    assert said["usage"]["cost"] == 3 * tokens / 10**6
    assert said["usage"]["cost_details"].keys() == {
        *("prompt_cost", "request_cost", "currency", "usage_source", "upstream_inference_cost")
    }
    assert ask.amount == ask.minimum >= record.cost


async def test_a_hold_is_for_more_than_texts_can_cost(vendor: Vendor):
    async with house_of(vendor) as house:
        ticket = await admitted(house, FIVE)

        assert ticket.held == 3 * measure_texts(FIVE).bound(2.0)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 0}, {"prompt_tokens": -5}, {"prompt_tokens": 10**7}]
)
async def test_what_a_vendor_cannot_have_counted_is_counted_by_us(usage: Any):
    async with Vendor(embedding(usage=usage)) as server, house_of(server) as house:
        said = await embed(house, FIVE)
        [record] = house.book.records

    assert record.tokens_prompt == said["usage"]["prompt_tokens"] == -(-sum(map(len, FIVE)) // 3) + 2 * 5
    assert record.usage_source == said["usage"]["cost_details"]["usage_source"] == "estimated"
    assert record.cost == 3 * record.tokens_prompt


async def test_one_part_without_a_count_makes_all_of_it_an_estimate():
    uncounted = reply(answer({"input": FIVE[2:4]}, usage=None))
    script = embedding(None, uncounted)
    async with Vendor(script) as server, house_of(server, options={"texts_at_once": 2}) as house:
        await embed(house, FIVE)

        assert [record.usage_source for record in house.book.records] == ["estimated"]


async def test_whoever_cannot_pay_for_all_texts_is_told_before_anybody_is_asked(vendor: Vendor):
    async with house_of(vendor, wealth=3 * measure_texts(FIVE).bound(2.0) - 1) as house:
        with pytest.raises(InsufficientFunds):
            await admitted(house, FIVE)

    assert not vendor.requests


# --- Failures ------------------------------------------------------------------------------------------


async def test_a_part_that_fails_fails_the_whole_and_costs_nothing():
    broken = reply({"error": {"message": "no"}}, 500)
    script = embedding(None, None, broken)
    async with Vendor(script) as server, house_of(server, options={"texts_at_once": 2}) as house:
        ticket = await admitted(house, FIVE)
        with pytest.raises(NobodyAnswered):
            await house.embedder.embed(ticket)
        [record] = house.book.records

    assert (record.status, record.cost, record.tokens_prompt) == ("failed", 0, 0)
    assert len(server.requests) == 3


async def test_another_endpoint_of_the_model_takes_over_from_the_beginning(vendor: Vendor):
    broken = reply({"error": {"message": "no"}}, 500)
    at_once = {"texts_at_once": 2}
    async with Vendor(embedding(None, broken)) as ill, house_of(ill, vendor, options=at_once) as house:
        said = await embed(house, FIVE)
        [record] = house.book.records

    assert [request.json["input"] for request in vendor.requests] == [FIVE[:2], FIVE[2:4], FIVE[4:]]
    assert [each["embedding"] for each in said["data"]] == [vector(text) for text in FIVE]
    assert (said["provider"], record.provider, record.cost) == ("b", "b", 3 * sum(map(len, FIVE)))
    assert [attempt["outcome"] for attempt in record.attempts] == ["Broken", "ok"]


async def test_who_is_busy_for_a_moment_goes_on_where_it_stopped():
    busy = reply({"error": {"message": "slow down"}}, 429, retry_after="0.01")
    script = embedding(None, busy, None, busy, None, busy, None, busy)
    async with Vendor(script) as server, house_of(server, options={"texts_at_once": 1}) as house:
        said = await embed(house, FIVE)
        [record] = house.book.records

    heard = [text for request in server.requests for text in request.json["input"]]
    assert [text for n, text in enumerate(heard) if n % 2 == 0] == FIVE
    assert len(heard) == 9
    assert [each["embedding"] for each in said["data"]] == [vector(text) for text in FIVE]
    assert (record.status, record.cost) == ("ok", 3 * sum(map(len, FIVE)))


async def test_a_connection_that_was_stale_is_mended_once_and_the_others_are_kept():
    async def script(line: Line) -> None:
        while True:
            asked = (await line.asked()).json
            if line.number == 1 and line.count == 3:
                return  # kept, and closed just when it is used again
            await line.say(reply(answer(asked)))

    async with Vendor(script) as server, house_of(server, options={"texts_at_once": 1}) as house:
        said = await embed(house, [*FIVE, "шесть"])

        assert [each["embedding"] for each in said["data"]] == [vector(text) for text in [*FIVE, "шесть"]]
        # The first, one of its own, and one that is kept for all the rest.
        assert server.connections == 3


async def test_whoever_brought_a_part_goes_on_before_others_begin_anew(vendor: Vendor):
    again = reply({"error": {"message": "again"}}, 408)
    async with Vendor(embedding(None, again, None, again)) as first:
        urls = first.url, *[vendor.url] * 3
        routes = (
            texts_route(url, slug, options={"texts_at_once": 1})
            for url, slug in zip(urls, "abcd", strict=True)
        )
        async with House(texts_card(*routes)) as house:
            said = await embed(house, FIVE)

    assert (said["provider"], len(first.requests)) == ("a", 7)
    assert not vendor.requests


async def test_whoever_brings_no_more_parts_leaves_the_attempts_to_others(vendor: Vendor):
    again = reply({"error": {"message": "again"}}, 408)
    async with Vendor(embedding(None, *[again] * 9)) as first:
        urls = first.url, *[vendor.url] * 3
        routes = (
            texts_route(url, slug, options={"texts_at_once": 1})
            for url, slug in zip(urls, "abcd", strict=True)
        )
        async with House(texts_card(*routes)) as house:
            said = await embed(house, FIVE)

    assert (said["provider"], len(first.requests)) == ("b", 3)


async def test_who_stays_busy_is_not_asked_for_ever():
    busy = reply({"error": {"message": "slow down"}}, 429, retry_after="0.01")
    script = embedding(None, *[busy] * 20)
    async with Vendor(script) as server, house_of(server, options={"texts_at_once": 1}) as house:
        ticket = await admitted(house, FIVE)
        with pytest.raises(NobodyAnswered) as caught:
            await house.embedder.embed(ticket)

    assert isinstance(caught.value.failure, Busy)
    assert len(server.requests) <= 4


async def test_a_vendor_that_finds_a_text_too_long_is_told_in_words_about_texts():
    long = reply({"error": {"message": "no", "code": "context_length_exceeded"}}, 400)
    async with Vendor(embedding(long)) as server, house_of(server) as house:
        ticket = await admitted(house)
        with pytest.raises(Exception, match="Текст длиннее, чем модель принимает"):
            await house.embedder.embed(ticket)


# --- Whom it may ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "m"}, BadRequest, "model"),
        ({"model": AUTO}, BadRequest, "model"),
        ({"model": f"{AUTO}:floor"}, BadRequest, "model"),
        ({"model": "w"}, UnknownModel, "model"),
        ({"dimensions": 2}, BadRequest, "dimensions"),
        ({"texts": ["раз", "т" * 300_000]}, TextTooLong, "input[1]"),
        ({"texts": ["т" * 300_000]}, TextTooLong, "input"),
    ],
)
async def test_what_cannot_be_done_is_a_400_or_404_and_asks_nobody(
    vendor: Vendor, fields: dict[str, Any], kind: type[Exception], param: str
):
    async with house_of(vendor) as house:
        with pytest.raises(kind) as caught:
            await admitted(house, **fields)

    assert caught.value.param == param
    assert not vendor.requests
    assert not house.book.asks


async def test_a_chat_is_told_where_vectors_are_made(vendor: Vendor):
    async with house_of(vendor) as house:
        for names in ({"model": "v"}, {"model": "m", "models": ["v"]}):
            with pytest.raises(BadRequest, match="/v1/embeddings") as caught:
                await house.admit(**names)

            assert caught.value.param == "model"


async def test_auto_never_chooses_a_model_of_vectors(vendor: Vendor):
    marked = replace(texts_route(vendor.url), quality={"general": 99})
    chats = replace(route(vendor.url, "b"), quality={"general": 1})
    async with House(texts_card(marked), card(chats)) as house:
        ticket = await house.admit(model=AUTO)

    assert [quote.route.model for quote in ticket.quotes] == ["m"]


async def test_only_endpoints_that_change_the_width_are_asked_to(vendor: Vendor):
    plain, able = (
        texts_route(vendor.url, "a"),
        texts_route(vendor.url, "b", features=frozenset({"dimensions"})),
    )
    async with House(texts_card(plain, able)) as house:
        ticket = await admitted(house, dimensions=3)
        said = await house.embedder.embed(ticket)

    assert [rule.code for _, rule in ticket.decision.excluded] == ["dimensions"]
    assert said["provider"] == "b"
    assert vendor.requests[0].json["dimensions"] == 3


async def test_wishes_are_heard(vendor: Vendor):
    async with house_of(vendor, vendor) as house:
        assert (await embed(house, provider={"only": ["b"]}))["provider"] == "b"
        with pytest.raises(NoRoute):
            await admitted(house, provider={"max_price": {"prompt": 0.0029}})
        await admitted(house, provider={"max_price": {"prompt": 0.003}})


async def test_a_field_that_no_vendor_knows_is_named(vendor: Vendor):
    async with house_of(vendor) as house:
        ticket = await admitted(house, input_type="query")
        await house.embedder.embed(ticket)

        assert ticket.dropped == ["input_type"]
        with pytest.raises(NoRoute):
            await admitted(house, input_type="query", provider={"require_parameters": True})


async def test_a_decision_can_be_made_again_from_what_was_kept(vendor: Vendor):
    able = frozenset({"dimensions"})
    routes = texts_route(vendor.url, "a"), *(texts_route(vendor.url, slug, features=able) for slug in "bc")
    catalogue = Catalogue({"v": texts_card(*routes)}, "version")
    async with House(catalogue.cards["v"], version=catalogue.version) as house:
        ticket = await admitted(house, FIVE, dimensions=3)
    told = orjson.loads(orjson.dumps(kept(ticket.question, ticket.decision)))

    again = revived(orjson.loads(orjson.dumps(described(catalogue))), "version")
    decision = decide(asked_again(told, again, moment=ticket.created_at, is_test=False))

    assert again.cards["v"].kind == "embeddings"
    assert [place.quote.route.endpoint_id for place in decision.places] == told["order"]
    assert {str(left.endpoint_id): rule.code for left, rule in decision.excluded} == told["excluded"] != {}
    assert [place.quote.ceiling for place in decision.places] == [q.ceiling for q in ticket.quotes]
    assert "раз" not in orjson.dumps(told).decode()
