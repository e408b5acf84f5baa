from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt

import pytest

from billing.pricing import Price, PriceList
from monitoring.vitals import Circuit, Spread, Vitals
from providers.upstreams import Login, Upstream
from providers.wire import Support
from routing.meter import measure
from routing.needs import needs_of
from routing.policy import Group, Question, Step, chances, decide
from routing.route import ANY_CALL, Route
from routing.wishes import wishes_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Привет"}]}
ILL = Vitals(recent=10, recent_failures=5, attempts=10, failures=5)
DOWN = Vitals(circuit=Circuit.OPEN, recent=9, recent_failures=9, attempts=9, failures=9)


def price(roubles):
    """Roubles for 1,000 tokens of whatever kind."""
    return PriceList(((BEGINNING, Price(roubles * 10**9, roubles * 10**9)),))


def route(slug="a", *, number=1, adapter="gigachat", logins=1, model="m", upstream=(), **facts):
    keys = tuple(Login(id=n, label="", secret={}, slots=1) for n in range(logins))
    where = Upstream(
        slug=slug, adapter=adapter, base_url="https://example.org", logins=keys, **dict(upstream)
    )
    facts = {"prices": price(1), **facts}
    return Route(endpoint_id=number, model=model, upstream_model="M", upstream=where, **facts)


def routes(*slugs, **facts):
    return tuple(route(slug, number=number, **facts) for number, slug in enumerate(slugs, 1))


def question(*groups, vitals=None, drawn_by="seed", is_test=False, **chat):
    asked = {**CHAT, **chat}
    return Question(
        groups=tuple(group if isinstance(group, Group) else Group(tuple(group)) for group in groups),
        needs=needs_of(asked, measure(asked)),
        moment=NOON,
        seed=drawn_by,
        wishes=wishes_of(asked.get("provider")),
        vitals=vitals or {},
        is_test=is_test,
    )


def order(*groups, **facts):
    return [place.quote.route.upstream.slug for place in decide(question(*groups, **facts)).places]


def speed(latency=None, throughput=None):
    def spread(number):
        return None if number is None else Spread(number, number, number, number)

    return Vitals(latency=spread(latency), throughput=spread(throughput))


# --- The order -----------------------------------------------------------------------------------------


def test_models_keep_the_customers_order_and_endpoints_the_operators():
    first = (route("b", number=1, priority=2), route("a", number=2, priority=1))
    second = (route("c", number=3),)

    assert order(first, second) == ["a", "b", "c"]


def test_wishes_for_an_order_come_before_the_operators():
    found = order(routes("a", "b", "c", "d"), provider={"order": ["C", "a"]})

    assert found[:2] == ["c", "a"]
    assert sorted(found[2:]) == ["b", "d"]


def test_without_fallbacks_only_the_first_is_tried():
    decision = decide(question(routes("a", "b"), provider={"allow_fallbacks": False}))

    assert len(decision.places) == 1
    assert [rule.code for _, rule in decision.excluded] == ["allow_fallbacks"]


def test_without_fallbacks_those_put_in_order_are_tried():
    provider = {"order": ["b", "c"], "allow_fallbacks": False}

    assert order(routes("a", "b", "c"), provider=provider) == ["b", "c"]


@pytest.mark.parametrize(
    "wish", [{"order": ["z"]}, {"order": ["a"], "ignore": ["a"]}, {"order": [""]}, {"order": ["b", "z"]}]
)
def test_who_is_not_named_replaces_nobody_that_is(wish):
    asked = order(routes("a", "b"), provider={**wish, "allow_fallbacks": False})

    assert asked == (["b"] if "b" in wish["order"] else [])


@pytest.mark.parametrize(("late", "asked"), [(2, ["a", "b"]), (3, ["b", "a"])])
def test_who_lets_several_wait_in_a_row_steps_back(late, asked):
    first, second = route("a"), route("b", number=2, priority=1)

    assert order([first, second], vitals={1: Vitals(recent=400, late=late)}) == asked


@pytest.mark.parametrize("recent_failures", [0, 9])
def test_an_endpoint_that_a_probe_says_is_well_stands_where_it_would_if_it_were(recent_failures):
    vouched = replace(DOWN, circuit=Circuit.HALF_OPEN, is_vouched=True, recent_failures=recent_failures)
    first, second = routes("a", "b", priority=1)

    assert order([replace(first, priority=0), second], vitals={1: vouched}) == ["a", "b"]
    assert order([replace(first, priority=2), second], vitals={1: vouched}) == ["b", "a"]
    assert order([first, second], vitals={1: vouched}, provider={"order": ["b"]}) == ["b", "a"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("price", ["c", "b", "a"]), ("latency", ["b", "a", "c"]), ("throughput", ["a", "b", "c"])],
)
def test_a_sort_orders_by_its_measure_and_the_unmeasured_come_last(sort, expected):
    three = [route(slug, number=n, prices=price(4 - n)) for n, slug in enumerate("abc", 1)]
    vitals = {1: speed(latency=900, throughput=80), 2: speed(latency=300, throughput=20)}

    assert order(three, vitals=vitals, provider={"sort": sort}) == expected


def test_a_suffix_sorts_its_own_model_and_the_requests_word_comes_first():
    dear, cheap = route("a", number=1, prices=price(2)), route("b", number=2, prices=price(1))
    vitals = {1: speed(throughput=90), 2: speed(throughput=10)}
    group = Group((dear, cheap), sort="price")

    assert order(group, vitals=vitals) == ["b", "a"]
    assert order(group, vitals=vitals, provider={"sort": "throughput"}) == ["a", "b"]


def test_models_are_sorted_together_if_wanted():
    first, second = [route("a", prices=price(2))], [route("b", number=2, prices=price(1))]

    assert order(first, second, provider={"sort": "price"}) == ["a", "b"]
    assert order(first, second, provider={"sort": {"by": "price", "partition": "none"}}) == ["b", "a"]


@pytest.mark.parametrize(
    ("vitals", "step"),
    [
        (ILL, Step.SHAKY),
        (DOWN, Step.DOWN),
        (replace(DOWN, circuit=Circuit.HALF_OPEN), Step.DOWN),
        (Vitals(recent=1, recent_failures=1), Step.NONE),
        (Vitals(recent=100, recent_failures=3), Step.NONE),
    ],
)
def test_who_had_an_outage_steps_back(vitals, step):
    decision = decide(question(routes("a", "b"), vitals={1: vitals}))
    found = {place.quote.route.upstream.slug: place.step for place in decision.places}

    assert found["a"] is step
    assert (decision.places[0].quote.route.upstream.slug == "b") or step is Step.NONE


def test_the_health_of_who_is_said_to_be_well_does_not_count():
    assert order(
        [route("a", priority=1, circuit="closed"), route("b", number=2, priority=2)], vitals={1: DOWN}
    ) == [
        "a",
        "b",
    ]


def test_a_broken_circuit_comes_behind_even_what_was_put_in_order():
    assert order(routes("a", "b"), vitals={1: DOWN}, provider={"order": ["a"]}) == ["b", "a"]


@pytest.mark.parametrize(
    ("provider", "vitals", "expected"),
    [
        ({"preferred_max_latency": 0.5}, {1: speed(latency=600)}, "b"),
        ({"preferred_max_latency": {"p90": 0.5}}, {1: speed(latency=600)}, "b"),
        ({"preferred_max_latency": 0.5}, {1: speed(latency=400)}, "a"),
        ({"preferred_min_throughput": 50}, {1: speed(throughput=40)}, "b"),
        ({"preferred_min_throughput": 50}, {}, "a"),
    ],
)
def test_who_misses_a_preferred_speed_steps_back_and_stays(provider, vitals, expected):
    two = [route("a", priority=1), route("b", number=2, priority=2)]

    found = order(two, vitals=vitals, provider=provider)

    assert found[0] == expected
    assert sorted(found) == ["a", "b"]


@pytest.mark.parametrize(
    "chat",
    [
        {"max_tokens": 500},
        {"stream": True},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
    ],
)
def test_who_can_serve_only_a_part_steps_back(chat):
    poor = route("a", max_output=100, priority=1)
    able = route("b", number=2, max_output=1000, features=frozenset({"json_schema", "streaming"}), priority=2)

    assert order([poor, able], **chat)[0] == "b"


# --- The draw ------------------------------------------------------------------------------------------


def shares(*found, draws=20_000, **facts):
    wins = Counter(order(found, drawn_by=f"{n:x}", **facts)[0] for n in range(draws))
    return {slug: count / draws for slug, count in wins.items()}


def own(*costs):
    """Endpoints that cost us so many roubles for 1,000 tokens and the customer the same."""
    return [route("abcdef"[n], number=n + 1, own_prices=price(cost)) for n, cost in enumerate(costs)]


@pytest.mark.parametrize("costs", [(1, 2), (1, 1, 1), (3, 4, 5, 6)])
def test_the_draw_goes_by_one_over_the_square_of_the_price(costs):
    draws = 20_000
    expected = [cost**-2 / sum(each**-2 for each in costs) for cost in costs]

    found = shares(*own(*costs), draws=draws)

    for slug, share in zip("abcdef", expected, strict=False):
        # Four standard deviations: once in 16,000.
        assert abs(found[slug] - share) < 4 * sqrt(share * (1 - share) / draws)


def test_the_draw_respects_weights():
    found = shares(route("a", weight=3), route("b", number=2, weight=1), draws=10_000)

    assert 0.73 < found["a"] < 0.77


def test_who_has_no_weight_is_only_a_fallback():
    assert set(shares(route("a", weight=0), route("b", number=2, weight=1), draws=200)) == {"b"}
    assert order([route("a", weight=0), route("b", number=2, weight=0)]) == ["a", "b"]


def test_only_the_first_in_the_operators_queue_take_part_in_the_draw():
    found = shares(
        route("a", priority=1), route("b", number=2, priority=1), route("c", number=3, priority=2), draws=300
    )

    assert set(found) == {"a", "b"}


def test_chances_are_what_the_draw_does():
    asked = question(own(1, 2, 2))

    found = chances(asked, decide(asked))

    assert found == pytest.approx({1: 4 / 6, 2: 1 / 6, 3: 1 / 6})


def test_the_same_seed_draws_the_same_and_keeps_it_when_others_go():
    many = own(1, 1, 1, 1, 1)
    for seed in map(str, range(50)):
        first = order(many, drawn_by=seed)[0]
        others = [each for each in many if each.upstream.slug != first]

        assert order(many, drawn_by=seed)[0] == first
        # Who loses another endpoint stays where he is.
        for gone in others:
            assert order([each for each in many if each is not gone], drawn_by=seed)[0] == first


def test_the_draw_is_the_one_by_which_kept_decisions_were_made():
    """A change of it would part the records of generations from what is decided again."""
    drawn = [order(own(3, 4, 5, 6), drawn_by=f"{n:032x}")[0] for n in range(40)]

    assert "".join(drawn) == "dcbadabbababaadadbdadaaabdbaadbbbaaacbba"


def test_a_sort_or_an_order_turns_the_draw_off():
    for provider in ({"sort": "price"}, {"order": ["a"]}):
        assert set(shares(*own(2, 1), draws=100, provider=provider)) == {"b" if "sort" in provider else "a"}


def test_fields_a_vendor_lacks_are_known_and_ours_are_not():
    chat = {
        **CHAT,
        "seed": 1,
        "metadata": {},
        "session_id": "s",
        "unheard_of": 1,
        "temperature": 0.5,
        "stop": None,
    }
    needs = needs_of(chat, measure(chat))

    assert [name for name in needs.fields if route().lacks(name)] == ["seed"]


@pytest.mark.parametrize(("tools", "lacks"), [("native", True), ("emulated", False)])
def test_what_the_prompt_asks_for_is_not_missed(tools, lacks):
    assert route(adapter="gigachat", tools=tools).lacks(ANY_CALL) is lacks


@pytest.mark.parametrize("name", ["parallel_tool_calls", "response_format", "stop"])
def test_what_is_brought_about_here_is_missed_nowhere(name):
    mute = route(adapter="openai", options={"drop_fields": [name]})

    assert not mute.lacks(name)
    assert mute.support(name) is Support.EMULATED


@pytest.mark.parametrize(("tools", "choice"), [(2, "required"), (1, "required"), (2, "auto")])
def test_whoever_cannot_be_made_to_call_steps_back_and_serves_no_one_who_insists(tools, choice):
    offered = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(tools)]
    chat = {"tools": offered, "tool_choice": choice}
    both = [route("free"), route("bound", number=2, adapter="openai", priority=5)]
    cannot = (tools, choice) == (2, "required")

    strict = decide(question(both, **chat, provider={"require_parameters": True}))

    assert order(both, **chat)[0] == ("bound" if cannot else "free")
    assert strict.reasons == (["free: не поддерживает tool_choice"] if cannot else [])
