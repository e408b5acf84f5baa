"""Reading a request for vectors: what is let through, what is refused, and in which words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.embeddings.reading import MAX_TEXTS, EmbeddingsRequest, read_texts
from routing.errors import BadRequest, TooManyBytes
from routing.reading import MAX_BYTES

SECRET = "Тайна-о-которой-молчат"


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "gigachat/embeddings", "input": ["раз", "два"], **fields}


def read(body: Any) -> dict[str, Any]:
    return read_texts(json.dumps(body).encode())


def refused(body: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read(body)
    return caught.value


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding_format": "base64"},
        {"encoding_format": "float"},
        {"encoding_format": None, "dimensions": None, "input_type": None, "user": None, "provider": None},
        {"dimensions": 256},
        {"input_type": "query"},
        {"input_type": "search_document"},
        {"user": "ivan", "metadata": {"a": 1}, "x": [1]},
        {"provider": {"only": ["gigachat"]}},
        {"models": None},
        {"input": ["т"] * MAX_TEXTS},
        {"input": [" "]},
    ],
)
def test_this_is_let_through_untouched(fields: dict[str, Any]):
    assert read(asked(**fields)) == asked(**fields)


def test_one_text_becomes_a_list_of_one():
    assert read(asked(input="раз")) == asked(input=["раз"])


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"input": ["раз"]}, "model", "Нет обязательного поля model."),
        ({"model": "m"}, "input", "Нет обязательного поля input."),
        (asked(model=""), "model", "строка от 1 до 256 символов"),
        (asked(input=None), "input", "получен null"),
        (asked(input=""), "input", "получена пустая строка"),
        (asked(input=[]), "input", "получен пустой массив"),
        (asked(input=["раз", ""]), "input[1]", "ожидается непустая строка, получена пустая строка"),
        (asked(input=["раз", None]), "input[1]", "получен null"),
        (asked(input=["раз", 5]), "input[1]", "получено 5"),
        (asked(input={"text": "раз"}), "input", "получен объект"),
        (asked(input=["т"] * (MAX_TEXTS + 1)), "input", f"не длиннее {MAX_TEXTS} элементов"),
        (asked(input=[1, 2, 3]), "input", "нужны тексты, а не токены"),
        (asked(input=[[1, 2], [3]]), "input", "нужны тексты, а не токены"),
        (asked(dimensions=0), "dimensions", "целое число от 1"),
        (asked(dimensions=1.5), "dimensions", "целое число от 1"),
        (asked(encoding_format="hex"), "encoding_format", "base64, float"),
        (asked(input_type="poem"), "input_type", "document, query"),
        (asked(provider={"only": "gigachat"}), "provider.only", "массив"),
        (asked(models=["a", "b"]), "models", "векторы разных моделей нельзя сравнивать"),
    ],
)
def test_this_is_refused_with_the_field_named(body: Any, param: str, said: str):
    refusal = refused(body)

    assert refusal.param == param
    assert said in str(refusal)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "m", "input": "\\u0000"}', b"\xff"])
def test_what_is_no_object_of_json_is_refused(body: bytes):
    with pytest.raises(BadRequest):
        read_texts(body)


def test_too_long_a_body_is_refused():
    with pytest.raises(TooManyBytes):
        read_texts(b" " * (MAX_BYTES + 1))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
    st.sampled_from(EmbeddingsRequest.__struct_fields__),
)
def test_no_value_of_a_field_is_our_bug(value: Any, field: str):
    try:
        read(asked(**{field: value}))
    except BadRequest as refusal:
        assert refusal.param is None or isinstance(refusal.param, str)


@pytest.mark.parametrize("field", ["encoding_format", "input_type", "dimensions", "provider", "models"])
def test_a_refusal_repeats_nothing_of_what_was_written(field: str):
    assert SECRET not in str(refused(asked(**{field: SECRET})))
