"""Instances satisfy the schema they were made for."""

import pytest

from providers.twins.instances import NoSchema, instance


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "string"}, "Погода в Казани на 7"),
        ({"type": "string", "maxLength": 6}, "Погода"),
        ({"type": "string", "minLength": 22}, "Погода в Казани на 7.."),
        ({"type": "string", "format": "date"}, "2026-11-22"),
        ({"type": "integer"}, 7),
        ({"type": "integer", "maximum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 7}, 8),
        ({"type": "number", "multipleOf": 4}, 8),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 7),
        ({"const": 5}, 5),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": ["Москва", "казани"]}, "казани"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array", "items": {"type": "boolean"}, "maxItems": 0}, []),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "type": "array"}, [1, 2]),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, 1),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"const": 3}}}, 3),
        ({"type": "object", "properties": {"city": {"type": "string"}}}, {"city": "Казань"}),
        ({"type": "object", "required": ["x"]}, {"x": "Погода в Казани на 7"}),
        ({}, "Погода в Казани на 7"),
        ({"type": "object", "properties": {}, "required": None}, {}),
        ({"type": "object", "properties": None}, {}),
        ({"type": "object", "properties": [], "required": [1, "x"]}, {"x": "Погода в Казани на 7"}),
        ({"allOf": [{"properties": None}, {"required": None}], "type": "object"}, {}),
    ],
)
def test_an_instance_satisfies_its_schema(schema, made):
    assert instance(schema, "Погода в Казани на 7 дней") == made


def test_a_recursive_schema_ends():
    node = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name"],
    }

    made = instance(node, "Раз")

    assert made["children"][0]["name"] == "Раз"


def test_a_hopeless_schema_ends_too():
    assert instance({"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}, "Раз")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": {"a": 1}},
        {"type": "string", "minLength": "x"},
        {"type": "number", "minimum": "x"},
        {"anyOf": [None]},
        {"oneOf": "x"},
        {"$ref": 5},
        {"$ref": "#/$defs/x", "$defs": None},
        {"enum": {"a": 1}},
        {"type": "integer", "minimum": float("inf")},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "string", "minLength": 10**18},
        {"type": "array", "minItems": 10**18},
        {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000}},
    ],
    ids=str,
)
def test_what_is_no_schema_is_told(schema):
    with pytest.raises(NoSchema):
        instance({"type": "object", "properties": {"x": schema}, **schema}, "Раз")
