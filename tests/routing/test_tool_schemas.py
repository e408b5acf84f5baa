"""What functions take is a JSON Schema, or the place where it is none is named."""

from typing import Any

import orjson
import pytest

from routing.errors import BadRequest
from routing.reading import read_chat
from routing.tool_schemas import MAX_CHECKED, MAX_EXPLAINED

WORD = {"type": "string"}
AT = "tools[0].function.parameters"


def body(*functions: dict[str, Any], **fields: Any) -> bytes:
    tools = [{"type": "function", "function": function} for function in functions]
    said = {"model": "a/b", "messages": [{"role": "user", "content": "Раз"}], "tools": tools}
    return orjson.dumps({**said, **fields})


def refused(sent: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_chat(sent)
    return caught.value


BAD = [
    ({"type": "objekt"}, ".type"),
    ({"type": 5}, ".type"),
    ({"type": ["string", "nul"]}, ".type[1]"),
    ({"properties": []}, ".properties"),
    ({"properties": {"city": "string"}}, ".properties.city"),
    ({"properties": {"city": WORD, "required": ["city"]}}, ".properties.required"),
    ({"required": "x"}, ".required"),
    ({"required": ["x", 5]}, ".required[1]"),
    ({"$ref": 5}, ".$ref"),
    ({"enum": "a"}, ".enum"),
    ({"items": "string"}, ".items"),
    ({"items": [WORD, 5]}, ".items[1]"),
    ({"additionalProperties": "no"}, ".additionalProperties"),
    ({"anyOf": {}}, ".anyOf"),
    ({"not": {"type": "x"}}, ".not.type"),
    ({"$defs": {"City": {"type": "x"}}}, ".$defs.City.type"),
    ({"properties": {"a": {"items": {"anyOf": [WORD, {"type": "x"}]}}}}, ".properties.a.items.anyOf[1].type"),
    ({"properties": {"Мой секрет": {"type": "x"}}}, ".properties[...].type"),
    ({"allOf": [{"properties": {"ok": WORD}}, {"properties": 7}]}, ".allOf[1].properties"),
    ({"properties": {"any": True, "none": None, "a": {"type": "x"}}}, ".properties.a.type"),
    ({"items": [True, None, False, {"type": "x"}]}, ".items[3].type"),
]


@pytest.mark.parametrize(("schema", "place"), BAD, ids=[place for _, place in BAD])
def test_what_is_no_schema_is_refused_by_its_path(schema, place):
    error = refused(body({"name": "f", "parameters": schema}))

    assert error.param == f"{AT}{place}"
    assert str(error).startswith(f"Поле {AT}{place}: ожидается ")


def test_the_sentence_says_what_was_expected():
    error = refused(body({"name": "f"}, {"name": "g", "parameters": {"type": "objekt"}}))

    assert str(error) == (
        "Поле tools[1].function.parameters.type: ожидается тип JSON Schema "
        "(string, number, integer, boolean, object, array, null) или массив, получено другое значение."
    )


def test_functions_of_the_older_form_are_looked_at_too():
    error = refused(body(functions=[{"name": "f", "parameters": {"required": {}}}]))

    assert error.param == "functions[0].parameters.required"


@pytest.mark.parametrize(
    "schema",
    [
        *({}, {"type": None}, {"type": "object", "properties": None, "required": None}, {"type": "any"}),
        *({"type": "OBJECT"}, {"properties": {"a": {"type": "string", "required": True}}}, {"enum": []}),
        {"properties": {"type": WORD, "properties": WORD, "required": WORD, "enum": {"enum": [None, 1]}}},
        {"items": [WORD], "additionalProperties": False, "minimum": "1", "description": 5, "x-mine": [{}]},
        {"default": {"type": "objekt"}, "const": {"required": "x"}, "examples": [{"properties": []}]},
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"a": True},
            "$ref": "#/$defs/b",
        },
        {"type": ["object", "null"], "anyOf": [{"type": "object"}, True, None], "nullable": True},
    ],
    ids=str,
)
def test_odd_schemas_of_real_programs_are_let_through(schema):
    sent = body({"name": "f", "parameters": schema})

    assert read_chat(sent) == orjson.loads(sent)


def test_in_a_long_schema_only_the_function_is_named():
    error = refused(body({"name": "f", "parameters": {"type": "x", "description": "a" * MAX_EXPLAINED}}))

    assert error.param == AT


def test_schemas_without_end_are_the_vendors_to_judge():
    crumbs = {"anyOf": [{}] * (MAX_CHECKED // 3) + [5]}

    read_chat(body({"name": "f", "parameters": crumbs}))


def test_a_long_talk_does_not_spare_a_short_schema():
    long = [{"role": "user", "content": "a" * MAX_CHECKED}]

    assert refused(body({"name": "f", "parameters": {"type": "x"}}, messages=long)).param == f"{AT}.type"
