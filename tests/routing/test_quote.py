from dataclasses import replace
from datetime import UTC, datetime, timedelta

from billing.pricing import FREE, UNPRICED, Price, PriceList
from routing.meter import measure
from routing.needs import needs_of
from routing.quote import Quoting
from tests.gateways import NOBODY, route

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MILLION = 1_000_000
CHAT = {"messages": [{"role": "user", "content": "Привет"}]}
PRICE = Price(prompt=MILLION, completion=2 * MILLION, cached_prompt=MILLION, reasoning=2 * MILLION)


def priced(*prices, **facts):
    listed = PriceList(tuple((NOON - timedelta(days=day), price) for day, price in enumerate(prices)))
    return replace(route(NOBODY), prices=listed, max_output=1000, **facts)


def quoted(*routes, is_free=False, moment=NOON, **chat):
    asked = {**CHAT, **chat}
    quoting = Quoting(needs_of(asked, measure(asked)), moment, is_free=is_free)
    found = [quoting.quote(route) for route in routes]
    return [quote for quote in found if quote is not None]


def test_the_ceiling_pays_for_the_prompt_and_the_largest_answer():
    [quote] = quoted(priced(PRICE))

    assert quote.limit == 1000
    assert quote.ceiling == quote.prompt + 2 * 1000
    assert quote.floor == quote.prompt + 2


def test_the_smaller_limit_of_the_customer_counts():
    [quote] = quoted(priced(PRICE), max_tokens=100, max_completion_tokens=50)

    assert quote.limit == 50
    assert quote.told({**CHAT, "max_tokens": 100}) == {**CHAT, "max_tokens": 100}


def test_nobody_gets_more_than_the_model_gives():
    [quote] = quoted(priced(PRICE), max_tokens=10**9)

    assert quote.limit == 1000
    assert quote.told({**CHAT, "max_tokens": 10**9})["max_tokens"] == 1000


def test_a_smaller_amount_buys_a_shorter_answer():
    [quote] = quoted(priced(PRICE))

    lowered = quote.within(quote.prompt + 2 * 70 + 1)

    assert lowered.limit == 70
    assert lowered.told(CHAT) == {**CHAT, "max_tokens": 70}
    assert quote.within(quote.ceiling) is quote
    assert quote.within(quote.floor).limit == 1
    assert quote.within(quote.floor - 1) is None


def test_the_price_is_the_one_in_force_at_the_moment():
    old = Price(prompt=1)

    [today] = quoted(priced(PRICE, old))
    [yesterday] = quoted(priced(PRICE, old), moment=NOON - timedelta(hours=1))

    assert (today.price, yesterday.price) == (PRICE, old)


def test_an_endpoint_without_a_price_is_not_offered():
    assert quoted(priced(PRICE), moment=NOON - timedelta(days=5)) == []
    assert len(quoted(replace(route(NOBODY), prices=UNPRICED), priced(PRICE))) == 1


def test_for_test_keys_everything_is_free():
    [quote] = quoted(priced(PRICE), is_free=True)

    assert (quote.price, quote.ceiling, quote.floor) == (FREE, 0, 0)


def test_our_own_cost_is_known_where_somebody_has_said_it():
    own = PriceList(((NOON, Price(prompt=7)),))

    assert quoted(priced(PRICE))[0].own_price == FREE
    assert quoted(priced(PRICE, own_prices=own))[0].own_price == Price(prompt=7)


def test_a_vendor_is_told_our_limit_where_the_customer_names_none():
    [quote] = quoted(priced(PRICE))

    assert quote.told(CHAT) == {**CHAT, "max_tokens": 1000}


def test_a_limit_that_does_not_fit_into_the_context_is_not_told():
    [quote] = quoted(priced(PRICE, context_length=1010))

    assert quote.told(CHAT) == CHAT
