"""What is promised, and what keeps it."""

import json

import pytest

from routing.errors import BadRequest
from routing.promised.form import LARGEST, Form, Found, found_in, promised_form
from routing.promised.looser import looser
from routing.promised.schemas import text_weight, weight

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def asked(schema, **facts):
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **facts}}
    }


def begun(document):
    return Found(json.dumps(document)[:-1], document)


@pytest.mark.parametrize(
    "chat",
    [
        {},
        {"response_format": None},
        {"response_format": {"type": "text"}},
        asked(PERSON, strict=False),
    ],
)
def test_nothing_is_promised_that_was_not_asked_for(chat):
    assert promised_form(chat) is None


def test_any_object_is_promised_without_a_schema():
    form = promised_form({"response_format": {"type": "json_object"}})

    assert form.fits({"a": 1})
    assert not form.fits([1])


def test_the_same_schema_is_compiled_once():
    assert promised_form(asked(PERSON)) is promised_form(asked(dict(PERSON)))


def test_large_schemas_are_not_kept_without_end():
    first, *others = [asked({"title": f"{n}", "enum": ["x" * (LARGEST - 100)]}) for n in range(20)]
    form = promised_form(first)

    for other in others:
        promised_form(other)

    assert promised_form(first) is not form
    assert promised_form(first).mark == form.mark


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"properties": 1},
        {"pattern": "("},
        {"$ref": "#/$defs/missing"},
        {"$ref": "http://127.0.0.1:1/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "http://example.org/unknown"},
        {"enum": ["x" * LARGEST]},
    ],
)
def test_what_is_no_schema_is_refused_by_its_field(schema):
    with pytest.raises(BadRequest) as refused:
        promised_form(asked(schema))

    assert refused.value.param == "response_format.json_schema.schema"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"name": "Иван", "age": "сорок"}, "age"),
        ({"name": "Иван"}, ""),
        ({"name": "Иван", "age": 1, "x": 1}, ""),
        ([], ""),
    ],
)
def test_a_fault_is_told_by_its_place(document, path):
    fault = Form(PERSON).fault(document)

    assert fault.path == path
    assert fault.why


def test_a_place_is_told_as_in_errors_of_the_api():
    schema = {"properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}}}

    assert Form(schema).fault({"items": [{}, {"price": "5"}]}).path == "items[1].price"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' \n{"a": 1}\n', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("```\n[1]\n```\nВот так.", "[1]"),
        ('Вот ответ:\n```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Вот ответ: {"a": {"b": 1}} Готово {', '{"a": {"b": 1}}'),
        ("5", "5"),
        ('"a"', '"a"'),
        ("null", "null"),
    ],
)
def test_a_document_is_found_among_kind_words(text, found):
    assert found_in(text).text == found


@pytest.mark.parametrize(
    "text", ["", " ", "Не знаю.", '{"a": 1', "{'a': 1}", '{"a": NaN}', '["\\ud83d"]', "[" * 100_000]
)
def test_where_there_is_no_document_none_is_found(text):
    with pytest.raises(ValueError):
        found_in(text)


def test_a_model_that_pads_without_end_is_read_at_once():
    """With work that grows as the square of the blanks it would take minutes."""
    with pytest.raises(ValueError):
        found_in("```json\n{" + " " * 300_000)


@pytest.mark.parametrize(
    ("schema", "heavy"),
    [
        (True, 1),
        ({}, 1),
        ({"enum": [1, 2, 3]}, 4),
        ({"properties": {"a": {}, "b": {"items": {}}}}, 4),
        ({"anyOf": [{}, {"allOf": [{}, {}]}]}, 5),
        ({"$defs": {"a": {}, "unused": {"anyOf": [{}, {}]}}, "$ref": "#/$defs/a"}, 2),
        ({"properties": {"enum": {"type": "string"}}}, 2),
    ],
)
def test_the_weight_of_a_schema(schema, heavy):
    assert weight(schema) == heavy


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"items": {"$ref": "#"}},
        {
            "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
            "$ref": "#/$defs/a",
        },
        {"$dynamicRef": "#x", "$dynamicAnchor": "x"},
        {"$ref": "other.json"},
        {"anyOf": [{"anyOf": [{"$ref": "#/anyOf/0"}]}]},
        {"$defs": {"a": {"items": {"$ref": "#/%24defs/%61"}}}, "$ref": "#/$defs/a"},
        {"$ref": "#/$defs/missing"},
        # Inside, names lead elsewhere.
        {
            "$defs": {"a": {}, "b": {"$id": "http://b", "$defs": {"a": {}}, "$ref": "#/$defs/a"}},
            "$ref": "#/$defs/b",
        },
        # Inside one another these double the work at each level.
        {"anyOf": [{"unevaluatedProperties": False}], "unevaluatedProperties": False},
        {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(3_000)}, "$ref": "#/$defs/a0"},
    ],
)
def test_what_goes_in_circles_weighs_more_than_anything(schema):
    assert weight(schema) == float("inf")


@pytest.mark.parametrize(
    ("schema", "heavy"),
    [
        ({"dependentRequired": {"a": [], "b": []}}, 1 + 2 * 5),
        ({"multipleOf": 0.01}, 1 + 500),
        ({"anyOf": [{}, {"$ref": "#/anyOf/0"}]}, 4),
        ({"$defs": {"я и ты": {"anyOf": [{}, {}]}}, "$ref": "#/$defs/%D1%8F%20%D0%B8%20%D1%82%D1%8B"}, 4),
    ],
)
def test_what_takes_longer_weighs_more(schema, heavy):
    assert weight(schema) == heavy


@pytest.mark.parametrize(
    ("pattern", "heavy"),
    [
        ("^[а-я]+$", 1),
        (r"^\d{4}-\d{2}$", 100 * (1 + 6)),
        ("(ab{3}){5}", 100 * 5 * 4),
        ("(a|b)*a(a|b){200}", 100 * 200),
        ("." * 101, 100 * 101),
    ],
)
def test_a_pattern_weighs_as_much_as_it_may_keep_in_view(pattern, heavy):
    assert text_weight({"pattern": pattern}) == heavy


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": r"\p{L}{1,25}x" * 40},
        {"patternProperties": {r"\p{L}{1,25}x" * 40: {}}},
        {"anyOf": [{"pattern": rf"\p{{L}}{{1,25}}x{n}"} for n in range(100)]},
        {"properties": {"pattern": {"pattern": r"\S{1,99}.{1,99}[^x]{9999}"}}},
    ],
)
def test_large_patterns_are_no_work_for_the_event_loop(schema):
    form = Form(schema)

    assert not form.is_quick('"a"')
    assert not form.is_told_early


def test_a_flaw_in_a_large_pattern_is_found_at_once():
    with pytest.raises(ValueError):
        Form({"pattern": r"(\p{L}{1,1000}"})


def test_where_a_reference_leads_into_alternatives_the_whole_is_waited_for():
    form = Form({"oneOf": [{"properties": {"a": {"$ref": "#/oneOf/1"}}}, {"type": "integer"}]})

    assert not form.is_told_early
    assert form.fits({"a": 1})


def test_what_is_nested_too_deep_is_a_fault():
    deep: list = []
    for _ in range(1_000):
        deep = [deep]

    assert Form({"items": {"type": "string"}}).fault(deep).why == "слишком глубокая вложенность"


def test_what_doubles_at_each_step_is_weighed_without_counting_it_out():
    defs = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(200)}

    assert weight({"$defs": {**defs, "a200": {}}, "$ref": "#/$defs/a0"}) > 2**200


@pytest.mark.parametrize(
    ("beginning", "may_be"),
    [
        ({}, True),
        ({"name": "Ив"}, True),
        ({"name": "Иван", "age": 40}, True),
        ({"name": 5}, False),
        ({"x": 1}, False),
        ([], False),
    ],
)
def test_a_beginning_tells_what_may_still_become_of_it(beginning, may_be):
    assert Form(PERSON).may_become(begun(beginning)) is may_be


def test_alternatives_are_told_apart_as_soon_as_they_can_be():
    kinds = [
        {"properties": {"type": {"const": kind}, "value": {"type": value}}, "required": ["type", "value"]}
        for kind, value in (("text", "string"), ("number", "number"))
    ]
    form = Form({"type": "object", "oneOf": kinds})

    assert form.may_become(begun({}))
    assert form.may_become(begun({"type": "text", "value": "a"}))
    assert not form.may_become(begun({"type": "text", "value": 5}))


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"const": 1}},
        {"properties": {"a": {"if": {}, "then": {}}}},
        {"items": {"contains": {"const": 1}}},
        {"$defs": {"a": {"unevaluatedProperties": False}}, "$ref": "#/$defs/a"},
        {"dependentSchemas": {"a": {}}},
    ],
)
def test_of_what_more_text_can_break_a_beginning_tells_nothing(schema):
    assert looser(schema) is None
    assert not Form(schema).may_become(begun({}))


def test_members_called_like_keywords_are_members():
    schema = {"properties": {"not": {"type": "string"}, "required": {"minLength": 3}}}

    assert looser(schema) == {"properties": {"not": {"type": "string"}, "required": {}}}


def test_schemas_that_read_texts_to_their_end_are_weighed_by_themselves():
    schema = {
        "properties": {"a": {"pattern": "^a+$", "maxLength": 5}, "b": {"type": "string"}},
        "patternProperties": {"^x": {"$ref": "#/properties/a"}},
    }

    assert text_weight(schema) == 1 + 2 + 2


def test_much_work_is_not_for_the_event_loop():
    wide = Form({"items": {"anyOf": [{"const": n} for n in range(5_000)]}})
    reading = Form({"items": {"anyOf": [{"pattern": f"x{n}"} for n in range(500)]}})

    assert wide.is_quick("[1, 2, 3]")
    assert not wide.is_quick(f"[{'1,' * 3_000}1]")
    assert reading.is_quick('["a"]')
    assert not reading.is_quick(f'["{"a" * 25_000}"]')


def test_patterns_that_look_around_are_known_but_not_for_the_event_loop():
    form = Form({"pattern": "^(?=a)a+$"})

    assert not form.is_quick('"a"')
    assert form.fault("b")
    assert not form.fault("aa")
