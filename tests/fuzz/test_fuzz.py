"""A short story of each visitor, and whether the checks would see what they are there for."""

import json
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fuzz import checks
from tests.fuzz.__main__ import expect_open
from tests.fuzz.house import House, running
from tests.fuzz.story import Tally, strict, told

# Without the coverage of every border, which alone is thousands of cases.
BRIEFLY = ("examples", "fuzzing", "stateful")
EXAMPLES = 8  # of an operation
ERROR = {
    "message": "Плохо.",
    "type": "invalid_request_error",
    "param": None,
    "code": 400,
    "metadata": {"error_type": "invalid_request", "retryable": False, "request_id": "req_1"},
}
JSON = "application/json"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running() as made:
        yield made


@pytest.mark.parametrize(
    ("door", "visitor", "cases"),
    [("express", "rich", 200), ("framework", "rich", 200), ("express", "stranger", 100)],
)
def test_whatever_the_schema_allows_or_forbids_is_answered_by_the_schema(house, door, visitor, cases):
    tally = told(
        house.servers[door].root,
        house.visitors[visitor],
        seed=1,
        cases=cases,
        examples=EXAMPLES,
        phases=BRIEFLY,
    )

    assert tally.told == []
    assert house.bugs() == []
    assert tally.total >= cases
    assert set(tally.cases) == set(BRIEFLY)
    # Where no key is needed, one that is shown has to be in force all the same.
    assert ({401, 403} if visitor == "stranger" else {200, 401}) <= set(tally.statuses)


# --- The checks themselves -------------------------------------------------------------------------


def reply(body: bytes, status: int = 400, kind: str = JSON) -> Any:
    headers = {"content-type": [kind], "x-request-id": ["req_1"]}
    return SimpleNamespace(status_code=status, content=body, headers=headers)


def case(*, is_positive: bool = True, raw: Any = None, schema: Any = None) -> Any:
    meta = SimpleNamespace(generation=SimpleNamespace(mode=SimpleNamespace(is_positive=is_positive)))
    operation = SimpleNamespace(
        definition=SimpleNamespace(raw=raw), schema=SimpleNamespace(raw_schema=schema)
    )
    return SimpleNamespace(method="POST", meta=meta, operation=operation)


def error(**changes: Any) -> bytes:
    return json.dumps({"error": {**ERROR, **changes}}).encode()


def test_a_refusal_in_the_envelope_is_one():
    checks.enveloped(None, reply(error()), case())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error(), "text/html"),
        (error(code=404), JSON),
        (error(more=1), JSON),
        (error(metadata={"request_id": "req_2"}), JSON),
    ],
)
def test_a_refusal_beside_the_envelope_is_seen(body, kind):
    with pytest.raises(AssertionError):
        checks.enveloped(None, reply(body, kind=kind), case())


@pytest.mark.parametrize(
    ("changes", "is_positive", "is_fit"),
    [({"param": "n"}, True, True), ({}, True, False), ({}, False, True)],
)
def test_a_valid_request_may_be_refused_for_a_field_only(changes, is_positive, is_fit):
    answer, asked = reply(error(**changes)), case(is_positive=is_positive)

    if is_fit:
        checks.told_why(None, answer, asked)
    else:
        with pytest.raises(AssertionError):
            checks.told_why(None, answer, asked)


@pytest.mark.parametrize(
    ("stream", "is_fit"),
    [
        ('data: {"id": "1"}\n\n: wait\n\ndata: [DONE]\n\n', True),
        ('data: {"id": "1"}\n\n', False),
        ('data: {"id": 1}\n\ndata: [DONE]\n\n', False),
        ("data: nothing\n\ndata: [DONE]\n\n", False),
    ],
)
def test_a_stream_is_of_declared_events_and_has_an_end(stream, is_fit):
    event = {"anyOf": [{"contentSchema": {"type": "object", "properties": {"id": {"type": "string"}}}}]}
    schema = {"components": {"schemas": {"ChatEvent": {"properties": {"data": event}}}}}
    content = {checks.EVENTS: {"schema": {"$ref": "#/components/schemas/ChatEvent"}}}
    answer = reply(stream.encode(), 200, f"{checks.EVENTS}; charset=utf-8")
    asked = case(raw={"responses": {"200": {"content": content}}}, schema=schema)

    if is_fit:
        checks.whole_stream(None, answer, asked)
    else:
        with pytest.raises(Exception):  # noqa: B017 - of JSON, of its shape, or ours
            checks.whole_stream(None, answer, asked)


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"opened": set()}, ["never let in"]),
        ({"statuses": Counter({200: 9, 429: 1})}, ["short of something"]),
        ({"cases": Counter(examples=9)}, ["no cases"]),
    ],
)
def test_the_rich_visitor_has_to_get_behind_the_doors(changes, failed):
    chats = {"POST /v1/chat/completions"}
    facts = {"cases": Counter(examples=9, stateful=1), "statuses": Counter({200: 10}), "opened": chats}
    tally = Tally(**{**facts, **changes}, asked=chats | {"DELETE /v1/keys/{id}"})

    expect_open(tally, ["examples", "stateful"])

    assert list(tally.failures) == failed


def test_only_what_is_answered_may_not_have_undeclared_members():
    pointer = {"$ref": "#/components/schemas/Asked"}
    shapes = {name: {"properties": {"a": {}}} for name in ("Asked", "Within", "Answer")}
    shapes["Asked"]["properties"]["a"] = {"anyOf": [{"$ref": "#/components/schemas/Within"}]}
    schema = {"paths": {"/": {"post": {"requestBody": pointer}}}, "components": {"schemas": shapes}}

    made = strict(schema)["components"]["schemas"]

    assert [name for name, shape in made.items() if "additionalProperties" in shape] == ["Answer"]
