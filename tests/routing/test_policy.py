import pytest

from providers.upstreams import Login, Upstream
from routing.policy import Route, dropped_fields, needs_tools, plan

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Привет"}]}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


def route(slug="a", *, endpoint_id=1, adapter="gigachat", logins=1, **facts):
    keys = tuple(Login(id=n, label="", secret={}, slots=1) for n in range(logins))
    upstream = Upstream(slug=slug, adapter=adapter, base_url="https://example.org", logins=keys)
    return Route(endpoint_id=endpoint_id, model="m", upstream_model="M", upstream=upstream, **facts)


def slugs(routes):
    return [r.upstream.slug for r in routes]


def test_endpoints_are_tried_by_priority_then_weight():
    routes = [route("c", priority=2), route("b", priority=1, weight=1), route("a", priority=1, weight=5)]

    assert slugs(plan(routes, CHAT).routes) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("chat", "excluded", "word"),
    [
        ({**CHAT, "tools": [{}]}, route(tools="none"), "функции"),
        ({**CHAT, "messages": [{"role": "user", "content": [IMAGE]}]}, route(), "изображения"),
        ({**CHAT, "provider": {"only": ["b"]}}, route(), "only"),
        ({**CHAT, "provider": {"ignore": ["a"]}}, route(), "ignore"),
        ({**CHAT, "seed": 1, "provider": {"require_parameters": True}}, route(), "seed"),
        (CHAT, route(logins=0), "ключей"),
    ],
)
def test_an_endpoint_that_cannot_serve_is_left_out_with_the_rule(chat, excluded, word):
    result = plan([excluded], chat)

    assert result.routes == ()
    assert word in result.reasons[0]


def test_without_fallbacks_only_the_first_is_tried():
    chat = {**CHAT, "provider": {"allow_fallbacks": False}}

    assert slugs(plan([route("a"), route("b")], chat).routes) == ["a"]


def test_fields_a_vendor_lacks_are_named_and_ours_are_not():
    chat = {**CHAT, "seed": 1, "metadata": {}, "session_id": "s", "unheard_of": 1, "temperature": 0.5}

    assert dropped_fields(route(), chat) == ["seed"]


@pytest.mark.parametrize("extra", [{"seed": None}, {"n": 1}, {"stop": None}])
def test_what_asks_for_nothing_is_not_missed(extra):
    assert dropped_fields(route(adapter="yandexgpt"), {**CHAT, **extra}) == []


@pytest.mark.parametrize(("tools", "dropped"), [("native", ["parallel_tool_calls"]), ("emulated", [])])
def test_what_the_prompt_asks_for_is_not_missed(tools, dropped):
    chat = {**CHAT, "tools": [{}], "parallel_tool_calls": False}

    assert dropped_fields(route(adapter="mts-ai", tools=tools), chat) == dropped


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, False),
        ({"tools": [{}]}, True),
        ({"messages": [{"role": "tool", "tool_call_id": "1", "content": "{}"}]}, True),
    ],
)
def test_tool_history_needs_tools_too(extra, expected):
    assert needs_tools({**CHAT, **extra}) is expected
