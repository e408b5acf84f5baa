"""What a customer's wishes come to: units, which of several objects wins, suffixes of names."""

import orjson
import pytest

from billing.money import LARGEST
from billing.pricing import Price, ceiling
from routing.wishes import NO_WISHES, Wishes, split_suffix, wishes_of


@pytest.mark.parametrize("nothing", [(None,), ({},), (None, {}, {}), ({}, {})])
def test_who_asks_nothing_gets_the_same_nothing(nothing):
    assert wishes_of(*nothing) is NO_WISHES


def test_members_that_are_null_ask_nothing():
    names = (
        "order only ignore allow_fallbacks require_parameters data_collection sort max_price "
        "preferred_min_throughput preferred_max_latency region something_new"
    )

    assert wishes_of(dict.fromkeys(names.split())) == NO_WISHES


def test_insides_that_are_null_ask_nothing():
    given = {
        "sort": {"by": None, "partition": None},
        "max_price": {"prompt": None},
        "preferred_min_throughput": {"p50": None},
        "preferred_max_latency": {},
    }

    assert wishes_of(given) == NO_WISHES


def test_providers_are_meant_in_any_case():
    wishes = wishes_of({"order": ["MTS-AI", "GigaChat"], "only": ["GigaChat"], "ignore": ["GEN-T"]})

    assert wishes.order == ("mts-ai", "gigachat")
    assert (wishes.only, wishes.ignore) == ({"gigachat"}, {"gen-t"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"allow_fallbacks": False}, Wishes(allow_fallbacks=False)),
        ({"allow_fallbacks": True}, NO_WISHES),
        ({"require_parameters": True}, Wishes(require_parameters=True)),
        ({"data_collection": "deny"}, Wishes(keeps_data_private=True)),
        ({"data_collection": "allow"}, NO_WISHES),
        ({"region": "RU"}, Wishes(region="ru")),
        ({"sort": "latency"}, Wishes(sort="latency", is_sort_asked=True)),
        ({"sort": {"by": "price"}}, Wishes(sort="price", is_sort_asked=True)),
        (
            {"sort": {"by": "price", "partition": "none"}},
            Wishes(sort="price", is_sort_asked=True, across_models=True),
        ),
        ({"sort": {"by": "price", "partition": "model"}}, Wishes(sort="price", is_sort_asked=True)),
    ],
)
def test_each_member_is_read(given, expected):
    assert wishes_of(given) == expected


def test_throughput_stays_in_tokens_a_second_and_latency_comes_in_milliseconds():
    wishes = wishes_of({"preferred_min_throughput": {"p50": 50, "p90": 20.5}, "preferred_max_latency": 1.5})

    assert wishes.min_throughput == {"p50": 50, "p90": 20.5}
    assert wishes.max_latency == {"p50": 1500}


@pytest.mark.parametrize(
    ("roubles", "micro_for_a_million"),
    [
        (0, 0),
        (1, 1_000_000_000),
        (0.1, 100_000_000),
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("0.0000000019", 1),
        (1e-10, 0),
        ("123456.123456789", 123_456_123_456_789),
        (1e300, LARGEST),
        (10**400, LARGEST),
        ("999999999999.999999999999", LARGEST),
    ],
)
def test_a_cap_for_tokens_is_exact_and_never_above_what_was_written(roubles, micro_for_a_million):
    wishes = wishes_of({"max_price": {"prompt": roubles, "completion": roubles}})

    assert wishes.max_price == {"prompt": micro_for_a_million, "completion": micro_for_a_million}


def test_a_cap_for_a_request_is_in_roubles():
    assert wishes_of({"max_price": {"request": "2.5", "image": 1}}).max_price == {"request": 2_500_000}


def test_a_cap_is_in_the_units_of_prices():
    cap = wishes_of({"max_price": {"prompt": 0.5}}).max_price["prompt"]

    assert ceiling(Price(prompt=cap), prompt=1000, completion=0) == 500_000  # half a rouble for 1,000 tokens


# --- Which wins ------------------------------------------------------------------------------------


def test_the_request_wins_over_the_key_and_the_key_over_the_client():
    client = {"sort": "price", "region": "ru", "only": ["a"]}
    key = {"sort": "latency", "only": ["b"]}

    wishes = wishes_of({"only": ["c"]}, key, client)

    assert (wishes.sort, wishes.region, wishes.only) == ("latency", "ru", {"c"})


def test_a_null_in_the_request_leaves_the_default():
    assert wishes_of({"region": None}, {"region": "ru"}).region == "ru"


def test_defaults_hold_where_the_request_has_no_object():
    assert wishes_of(None, {"allow_fallbacks": False}).allow_fallbacks is False


@pytest.mark.parametrize(
    ("given", "default"),
    [
        ({"ignore": []}, {"ignore": ["a"]}),
        ({"sort": {}}, {"sort": "price"}),
        ({"max_price": {}}, {"max_price": {"prompt": 1}}),
        ({"preferred_max_latency": {}}, {"preferred_max_latency": 1}),
        ({"allow_fallbacks": True}, {"allow_fallbacks": False}),
        ({"data_collection": "allow"}, {"data_collection": "deny"}),
        ({"region": ""}, {"region": "ru"}),
    ],
)
def test_a_request_may_take_a_default_back(given, default):
    assert wishes_of(given, default) == NO_WISHES


def test_a_member_is_replaced_as_a_whole():
    default = {"max_price": {"prompt": 1, "completion": 2}, "sort": {"by": "price", "partition": "none"}}

    wishes = wishes_of({"max_price": {"prompt": 3}, "sort": "latency"}, default)

    assert wishes.max_price == {"prompt": 3_000_000_000}
    assert (wishes.sort, wishes.across_models) == ("latency", False)


def test_what_was_given_is_left_as_it_was():
    given, default = {"order": ["B"]}, {"order": ["A"], "sort": "price"}

    wishes_of(given, default)

    assert (given, default) == ({"order": ["B"]}, {"order": ["A"], "sort": "price"})


# --- Suffixes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gigachat/pro:floor", ("gigachat/pro", "floor")),
        ("GigaChat/Pro:NITRO", ("GigaChat/Pro", "nitro")),
        ("yandexgpt/pro:rc:free", ("yandexgpt/pro:rc", "free")),
        ("yandexgpt/pro:rc", ("yandexgpt/pro:rc", "")),
        ("gigachat/pro", ("gigachat/pro", "")),
        ("gigachat/pro:", ("gigachat/pro:", "")),
        ("gigachat/pro:floor ", ("gigachat/pro:floor ", "")),
        (":floor", (":floor", "")),
        ("", ("", "")),
    ],
)
def test_a_suffix_is_cut_off_a_name(name, parts):
    assert split_suffix(name) == parts


# 18446744073709551615 seconds are no integer of 64 bits in milliseconds, 1e308 are infinitely many.
@pytest.mark.parametrize("most", [2**64 - 1, 1e308])
def test_measures_without_bounds_can_be_kept_as_json(most):
    wishes = wishes_of({"preferred_min_throughput": most, "preferred_max_latency": {"p90": most}})

    for measure in (wishes.min_throughput, wishes.max_latency):
        assert orjson.loads(orjson.dumps(measure)) == measure
