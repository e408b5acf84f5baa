"""Who may not serve, by which rule, and what people are told of it."""

import pytest

from billing.pricing import Price, PriceList
from routing.exclusions import NAMES_TOLD
from routing.policy import Group, decide
from tests.routing.test_policy import BEGINNING, order, price, question, route, routes

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("chat", "one", "code"),
    [
        ({"tools": [{}]}, route(tools="none"), "tools"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, route(), "vision"),
        ({"messages": [{"role": "user", "content": "я" * 900}]}, route(context_length=100), "context_length"),
        ({"provider": {"only": ["b"]}}, route(), "only"),
        ({"provider": {"ignore": ["A"]}}, route(), "ignore"),
        ({"provider": {"ignore": ["a"]}}, route("a-twin", upstream={"stands_for": "a"}), "ignore"),
        (
            {"provider": {"data_collection": "deny"}},
            route(upstream={"collects_data": True}),
            "data_collection",
        ),
        ({"provider": {"region": "ru"}}, route(upstream={"region": "kz"}), "region"),
        ({"provider": {"max_price": {"prompt": 0.5}}}, route(), "max_price"),
        ({"provider": {"require_parameters": True}, "seed": 1}, route(), "require_parameters"),
        ({"provider": {"require_parameters": True}, "data_class": "pii"}, route(), "require_parameters"),
        (
            {"provider": {"require_parameters": True}, "reasoning_effort": "none"},
            route(
                features=frozenset(["reasoning"]),
                adapter="mts-ai",
                options={"drop_fields": ["reasoning_effort"]},
            ),
            "require_parameters",
        ),
        (
            {"messages": [{"role": "user", "content": [IMAGE] * 3}]},
            route(features=frozenset(["vision"]), max_images=2),
            "max_images",
        ),
        ({}, route(logins=0), "no_credentials"),
        ({}, route(circuit="open"), "circuit_open"),
        ({}, route(prices=PriceList()), "no_price"),
    ],
)
def test_an_endpoint_that_may_not_serve_is_left_out_by_one_rule(chat, one, code):
    decision = decide(question([one], **chat))

    assert decision.places == ()
    assert [(excluded.endpoint_id, rule.code) for excluded, rule in decision.excluded] == [(1, code)]
    assert decision.reasons[0].startswith(f"{one.upstream.slug}: ")


@pytest.mark.parametrize(
    "provider",
    [
        {"only": ["A"]},
        {"data_collection": "deny"},
        {"region": "RU"},
        {"max_price": {"prompt": 1, "completion": "1.0"}},
    ],
)
def test_an_endpoint_that_is_as_wanted_stays(provider):
    assert order([route(upstream={"region": "ru"})], provider=provider) == ["a"]


@pytest.mark.parametrize(
    "chat",
    [
        {"messages": [{"role": "user", "content": [IMAGE] * 2}]},
        {"metadata": {"order": "42"}, "store": True},
        {"top_p": 1, "frequency_penalty": 0, "modalities": ["text"], "reasoning": {}},
        {"reasoning_effort": "none"},
        {"reasoning": {"enabled": False}},
    ],
)
def test_who_loses_nothing_of_the_answer_stays_where_nothing_may_be_lost(chat):
    sees = route(features=frozenset(["vision"]), max_images=2)

    assert order([sees], provider={"require_parameters": True}, **chat) == ["a"]


def test_a_twin_is_called_like_the_provider_it_stands_for():
    twin = route("a-twin", upstream={"stands_for": "a"})

    assert order([twin], provider={"only": ["a"]}) == ["a-twin"]


def test_free_is_what_costs_nothing():
    free = route("b", number=2, prices=price(0))

    assert order(Group((route(), free), is_free=True)) == ["b"]


@pytest.mark.parametrize("part", ["reasoning", "cached_prompt"])
def test_the_dearest_that_a_token_may_cost_is_what_counts(part):
    hidden = PriceList(((BEGINNING, Price(**{part: 10**9})),))
    free = route("a", prices=hidden)

    assert order(Group((free,), is_free=True)) == []
    assert order([free], provider={"max_price": {"prompt": 0, "completion": 0}}) == []
    assert order([free], provider={"max_price": {"prompt": 1, "completion": 1}}) == ["a"]


def test_with_a_test_key_everything_is_free():
    assert order([route()], is_test=True, provider={"max_price": {"prompt": 0}}) == ["a"]


# --- What is told of the names and countries that customers write ----------------------------------------


def sentences(*found, **chat):
    """What is said of each endpoint that is left out."""
    return [rule.said for _, rule in decide(question(found, **chat)).excluded]


def test_a_name_in_order_that_nobody_has_is_told_where_nobody_may_step_in():
    said = sentences(*routes("a", "b"), provider={"order": ["OpenAI"], "allow_fallbacks": False})

    strangers = "среди исполнителей нет названных в provider.order: openai"
    assert said == [f"provider.allow_fallbacks запрещает замену; {strangers}"] * 2


def test_a_name_in_only_that_nobody_has_is_told():
    said = sentences(route("a"), provider={"only": ["z", "y"]})

    assert said == ["не входит в provider.only; среди исполнителей нет названных в provider.only: y, z"]


@pytest.mark.parametrize(
    "provider",
    [
        {"order": ["b"], "allow_fallbacks": False},
        {"order": ["c"], "allow_fallbacks": False},
        {"only": ["b"]},
        {"only": ["c"]},
        {"allow_fallbacks": False},
    ],
)
def test_names_that_somebody_has_are_no_strangers(provider):
    """Also of who is left out himself, and of whom a twin stands for."""
    twin = route("c-twin", number=3, upstream={"stands_for": "c"})

    said = sentences(route("a"), route("b", number=2, logins=0), twin, provider=provider)

    assert any("замену" in each or "provider.only" in each for each in said)
    assert not any("среди исполнителей" in each for each in said)


def test_of_many_long_names_a_few_are_told_and_not_whole():
    names = [str(n) * 256 for n in range(10, 100)]

    [said] = sentences(route("a"), provider={"only": names})

    assert said.endswith(" …")
    assert said.count(",") == NAMES_TOLD - 1
    assert len(said) < 256


def test_the_country_of_each_is_told_where_another_is_wanted():
    here, there = route("a", upstream={"region": "ru"}), route("b", number=2, upstream={"region": "kz"})

    assert sentences(here, there, provider={"region": "by"}) == [
        "обрабатывает запросы в ru, а provider.region — by",
        "обрабатывает запросы в kz, а provider.region — by",
    ]


@pytest.mark.parametrize("wanted", ["Russia", "r", "рф", "Россия" * 40])
def test_what_is_no_country_is_told_how_one_is_written(wanted):
    [said] = sentences(route("a", upstream={"region": "ru"}), provider={"region": wanted})

    assert said.startswith("обрабатывает запросы в ru, а provider.region — ")
    assert said.endswith("; страна пишется двумя латинскими буквами")
    assert len(said) < 150
