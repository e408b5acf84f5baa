"""The matrix of capabilities, proven by asking: adapters build what it says, what is dropped is named."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers.adapters import ADAPTERS
from providers.errors import Rejected
from providers.wire import Support, Target, UpstreamRequest
from routing import legacy
from routing.embeddings.reading import EmbeddingsRequest, read_texts
from routing.errors import BadRequest
from routing.matrix import (
    BEST_FIRST,
    FORMS,
    PARTS,
    REWRITTEN,
    ROWS,
    TEXT_ROWS,
    best_of,
    text_treatments,
    treatments,
)
from routing.meter import measure, measure_texts
from routing.models import Feature
from routing.needs import OWN, TEXT_FIELDS, VENDOR_FIELDS, needs_of, needs_of_texts
from routing.policy import Group, Question, decide
from routing.reading import read_chat
from routing.route import ANY_CALL, Route
from routing.shape import ChatRequest
from tests import samples
from tests.gateways import route

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALL = frozenset(Feature.values)
FEATURES = {
    "all": ALL,
    "none": frozenset(),
    "no vision": ALL - {"vision"},
    "no reasoning": ALL - {"reasoning"},
    "no schema": ALL - {"json_schema"},
    "no stream": ALL - {"streaming"},
}
DROPPED = [
    "seed",
    "response_format",
    "max_tokens",
    "reasoning_effort",
    "chat_template_kwargs",
    "stop",
    "tools",
]


def places() -> dict[str, Route]:
    """Endpoints of every dialect with all that an operator may say of them."""
    found = {}
    for adapter in ADAPTERS:
        for tools in ("native", "emulated", "none"):
            for name, features in FEATURES.items():
                found[f"{adapter}, {tools} tools, {name}"] = _place(adapter, tools, features)
        for dropped in DROPPED if "drop_fields" in ADAPTERS[adapter].OPTIONS else ():
            found[f"{adapter}, without {dropped}"] = _place(adapter, "native", ALL, drop_fields=[dropped])
    return found


def _place(adapter: str, tools: str, features: frozenset[str], **options: Any) -> Route:
    known = features | ({"tools"} if tools == "native" else frozenset())
    made = route("http://127.0.0.1:9/v1", adapter=adapter)
    return replace(made, tools=tools, features=known, options={"folder_id": "b1g", **options})


PLACES = places()


def asked(chat: dict[str, Any]) -> dict[str, Any]:
    """The chat as the gateway has it."""
    read = read_chat(orjson.dumps(chat))
    return legacy.with_tools(read) if legacy.is_legacy(read) or legacy.has_history(read) else read


def built(place: Route, chat: dict[str, Any]) -> UpstreamRequest:
    target = Target("http://127.0.0.1:9", "m", "", place.options, place.features)
    return place.adapter_for(chat).chat_request(chat, target)


def wire(request: UpstreamRequest) -> tuple[Any, Any]:
    return dict(request.headers), orjson.loads(request.body)


def test_every_row_has_a_sample_and_every_field_a_row():
    assert set(samples.FIELDS) == set(ChatRequest.__struct_fields__)
    assert set(samples.CONTENTS) == set(PARTS.values())
    assert set(ROWS) == {*ChatRequest.__struct_fields__, *FORMS, ANY_CALL, *PARTS}
    assert set(ChatRequest.__struct_fields__) == VENDOR_FIELDS | OWN.keys()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_is_dropped_is_named_and_nothing_else(place):
    matrix = treatments(place)
    for row in set(ROWS) - {row for row in ROWS if matrix[row] is Support.REFUSED}:
        chat = asked(samples.sample(row, "m")[0])
        needs = needs_of(chat, measure(chat))

        named = {*place.lacking(needs), *needs.unheard}

        # Whoever speaks of functions hears of the tools that they became.
        mine = {samples.field_of(row), REWRITTEN.get(row)}
        assert bool(mine & named) is (matrix[row] is Support.DROPPED), row


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_vendors_are_told_what_the_matrix_says(place):
    matrix = treatments(place)
    for row in ROWS:
        if samples.field_of(row) in OWN and row not in PARTS:
            continue
        if matrix[row] is Support.REFUSED:
            continue
        with_, without = map(asked, samples.sample(row, "m"))

        is_told = wire(built(place, with_)) != wire(built(place, without))

        # What is emulated may be brought about on our side alone.
        if matrix[row] is Support.EXACT:
            assert is_told, row
        elif matrix[row] is Support.DROPPED and row != ANY_CALL:  # the model is told all the same, in words
            assert not is_told, row


def is_taken(place: Route, chat: dict[str, Any]) -> bool:
    """Whether the endpoint is asked, and its adapter finds the words."""
    question = Question((Group((place,)),), needs_of(chat, measure(chat)), NOON, "seed")
    try:
        return bool(decide(question).places) and bool(built(place, chat))
    except Rejected:
        return False


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_is_refused_is_and_nothing_else(place):
    matrix = treatments(place)
    for row in ROWS:
        if OWN.get(row) is not Support.REFUSED:
            chat = asked(samples.sample(row, "m")[0])

            assert is_taken(place, chat) is (matrix[row] is not Support.REFUSED), row


def sources() -> str:
    """The code that a chat goes through."""
    folders = (ROOT / "routing", ROOT / "providers" / "adapters")
    return "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))


@pytest.mark.parametrize(("row", "support"), OWN.items())
def test_somebody_looks_at_what_the_router_honours_and_nobody_at_what_it_drops(row, support):
    code = sources()

    looks = [look for look in (f'chat.get("{row}"', f'chat["{row}"]') if look in code]

    if support is not Support.REFUSED:
        assert bool(looks) is (support is Support.EXACT)


@pytest.mark.parametrize("row", [row for row, support in OWN.items() if support is Support.REFUSED])
def test_what_the_router_refuses_is_refused(row):
    with pytest.raises(BadRequest) as refused:
        asked(samples.sample(row, "m")[0])

    assert refused.value.param == row


def test_tools_follow_the_endpoint_and_the_old_form_follows_tools():
    told = {
        (tools, row): treatments(PLACES[f"openai, {tools} tools, all"])[row]
        for tools in ("native", "emulated", "none")
        for row in ("tools", *REWRITTEN)
    }

    assert {told["native", row] for row in ("tools", *REWRITTEN)} == {Support.EXACT}
    assert {told["emulated", row] for row in ("tools", *REWRITTEN)} == {Support.EMULATED}
    assert {told["none", row] for row in ("tools", *REWRITTEN)} == {Support.REFUSED}


def test_the_best_of_several_is_told():
    poor, rich = PLACES["yandexgpt, none tools, none"], PLACES["openai, native tools, all"]

    best = best_of(map(treatments, (poor, rich)))

    assert (best["seed"], best["tools"], best["messages[].content[].image_url"]) == (Support.EXACT,) * 3
    assert best_of([treatments(poor)]) == treatments(poor)
    assert all(
        BEST_FIRST.index(best[row]) <= BEST_FIRST.index(treatments(each)[row])
        for row in ROWS
        for each in (poor, rich)
    )


def test_a_route_made_of_another_is_asked_anew():
    native = PLACES["gigachat, native tools, all"]
    assert native.lacks(ANY_CALL)

    emulated = replace(native, tools="emulated")

    assert not emulated.lacks(ANY_CALL)
    assert native.lacks(ANY_CALL)


# Vectors --------------------------------------------------------------------------------------------


def text_places() -> dict[str, Route]:
    found = {}
    for adapter in ADAPTERS:
        for width, features in {"any": ALL, "its own": ALL - {"dimensions"}}.items():
            found[f"{adapter}, {width} width"] = _place(adapter, "none", features)
        for dropped in TEXT_FIELDS if "drop_fields" in ADAPTERS[adapter].OPTIONS else ():
            found[f"{adapter}, without {dropped}"] = _place(adapter, "none", ALL, drop_fields=[dropped])
    return found


TEXT_PLACES = text_places()


@pytest.mark.parametrize("place", TEXT_PLACES.values(), ids=TEXT_PLACES)
@pytest.mark.parametrize("row", TEXT_FIELDS)
def test_fields_of_texts_are_told_named_or_refused_as_the_matrix_says(place, row):
    told = text_treatments(place)[row]
    with_, without = (read_texts(orjson.dumps(each)) for each in samples.text_sample(row, "m"))
    needs = needs_of_texts(with_, measure_texts(with_["input"]))

    is_asked = bool(decide(Question((Group((place,)),), needs, NOON, "seed")).places)
    is_told = embedding_of(place, with_) != embedding_of(place, without)

    assert is_asked is (told is not Support.REFUSED)
    if is_asked:
        assert (row in place.lacking(needs)) is (told is Support.DROPPED)
        assert is_told is (told is Support.EXACT)


def embedding_of(place: Route, asked_for: dict[str, Any]) -> tuple[Any, Any]:
    target = Target("http://127.0.0.1:9", "m", "", place.options, place.features)
    return wire(ADAPTERS[place.upstream.adapter].embeddings_request(asked_for, target))


def test_a_model_of_vectors_has_rows_of_its_own_and_the_router_honours_what_no_vendor_is_told():
    matrix = text_treatments(TEXT_PLACES["gigachat, its own width"])

    assert set(samples.TEXTS) == set(TEXT_ROWS) == set(EmbeddingsRequest.__struct_fields__) == set(matrix)
    assert {row for row, told in matrix.items() if told is not Support.EXACT} == set(TEXT_FIELDS)


def test_the_best_of_several_makers_of_vectors_is_told():
    poor, rich = TEXT_PLACES["gigachat, its own width"], TEXT_PLACES["openai, any width"]

    best = best_of(map(text_treatments, (poor, rich)))

    assert {row: best[row] for row in TEXT_FIELDS} == {
        "dimensions": Support.EXACT,
        "encoding_format": Support.EXACT,
        "input_type": Support.DROPPED,
    }
