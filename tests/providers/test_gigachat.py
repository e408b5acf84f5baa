"""What a recorded chat cannot show: tokens, models, names and schemas of any kind."""

import contextlib
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.adapters import ADAPTERS
from providers.adapters.base import Adapter
from providers.adapters.gigachat_functions import RESERVED, customer_name, vendor_name
from providers.adapters.gigachat_schema import FORMATS, parameters
from providers.errors import Broken, Busy, DeadCredential, Rejected, UpstreamError
from providers.wire import Chunk, Support, Target, UpstreamResponse

NOW = 1_795_363_200.0  # seconds
SECRET = {"authorization_key": "MmY3YjpzZWNyZXQ=", "scope": "GIGACHAT_API_CORP"}
TARGET = Target(base_url="https://giga.test/api/v1", model="GigaChat-2", authorization="Bearer token")


@pytest.fixture
def gigachat() -> Adapter:
    return ADAPTERS["gigachat"]


def answer(body: Any, status: int = 200, **headers: str) -> UpstreamResponse:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return UpstreamResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


# Tokens -------------------------------------------------------------------------------------------


def test_the_credential_has_to_be_exchanged(gigachat: Adapter) -> None:
    assert gigachat.static_authorization(SECRET) is None


def test_the_key_is_exchanged_as_the_vendor_describes(gigachat: Adapter) -> None:
    request_id = "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e"

    request = gigachat.token_request(
        SECRET, "https://oauth.test:9443/api/v2/oauth", now=NOW, request_id=request_id
    )

    assert (request.method, request.url) == ("POST", "https://oauth.test:9443/api/v2/oauth")
    assert request.headers["Authorization"] == "Basic MmY3YjpzZWNyZXQ="
    assert request.headers["RqUID"] == request_id
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["User-Agent"]
    assert parse_qs(request.body.decode()) == {"scope": ["GIGACHAT_API_CORP"]}
    assert SECRET["authorization_key"] not in repr(request)


@pytest.mark.parametrize(
    "expires_at", [1_795_365_000_000, 1_795_365_000], ids=["milliseconds", "seconds, as in old samples"]
)
def test_an_expiry_is_read_in_either_unit(gigachat: Adapter, expires_at: int) -> None:
    token = gigachat.token(answer({"access_token": "eyJj.dHki", "expires_at": expires_at}), now=NOW)

    assert token.value == "eyJj.dHki"
    assert token.expires_at == NOW + 1800


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>OK</html>",
        {"access_token": "", "expires_at": 1_795_365_000_000},
        {"access_token": None, "expires_at": 1_795_365_000_000},
        {"access_token": "two\r\nlines", "expires_at": 1_795_365_000_000},
        {"access_token": "eyJj", "expires_at": 1_795_363_199_000},
        {"access_token": "eyJj", "expires_at": 1_795_363_199},
        {"access_token": "eyJj", "expires_at": -1},
        {"access_token": "eyJj", "expires_at": True},
        {"access_token": "eyJj", "expires_at": "soon"},
        {"access_token": "eyJj"},
    ],
    ids=repr,
)
def test_an_answer_without_a_live_token_is_broken(gigachat: Adapter, body: Any) -> None:
    with pytest.raises(Broken):
        gigachat.token(answer(body), now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (400, {"code": 1, "message": "scope data format invalid"}, "the scope is misspelt"),
        (400, {"code": 5, "message": "scope is empty"}, "the scope is empty"),
        (400, {"code": 7, "message": "scope from db not fully includes consumed scope"}, "another scope"),
        (401, {"code": 6, "message": "credentials doesn't match db data"}, "wrong or revoked"),
        (400, {"message": "RqUID must be UUID v4"}, "RqUID must be UUID v4"),
        (400, {"code": [], "message": None}, "400"),
        (403, b"<html>Forbidden</html>", "403"),
    ],
)
def test_a_refused_exchange_is_a_dead_credential(
    gigachat: Adapter, status: int, body: Any, detail: str
) -> None:
    with pytest.raises(DeadCredential) as caught:
        gigachat.token(answer(body, status), now=NOW)

    # Not TokenRefused: another exchange would be refused as well.
    assert type(caught.value) is DeadCredential
    assert detail in caught.value.detail


@pytest.mark.parametrize(("status", "kind"), [(429, Busy), (500, Broken), (503, Broken), (302, Broken)])
def test_an_exchange_that_failed_may_be_tried_again(
    gigachat: Adapter, status: int, kind: type[UpstreamError]
) -> None:
    with pytest.raises(kind):
        gigachat.token(answer(b"", status), now=NOW)


def test_a_busy_exchange_says_for_how_long(gigachat: Adapter) -> None:
    with pytest.raises(Busy) as caught:
        gigachat.token(answer(b"", 429, retry_after="2"), now=NOW)

    assert caught.value.retry_after == 2


# Models -------------------------------------------------------------------------------------------


def test_models_are_asked_for_with_the_token(gigachat: Adapter) -> None:
    request = gigachat.models_request(TARGET)

    assert (request.method, request.url, request.body) == ("GET", "https://giga.test/api/v1/models", b"")
    assert request.headers["Authorization"] == "Bearer token"
    assert request.headers["User-Agent"]


def test_models_are_listed_by_their_ids(gigachat: Adapter) -> None:
    models = [
        {"id": "GigaChat-2", "object": "model", "owned_by": "salutedevices", "type": "chat"},
        {"id": "EmbeddingsGigaR", "object": "model", "owned_by": "salutedevices", "type": "embedder"},
        {"object": "model"},
        None,
    ]

    assert gigachat.model_names(answer({"object": "list", "data": models})) == [
        "GigaChat-2",
        "EmbeddingsGigaR",
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", {"data": None}, {}], ids=repr)
def test_a_list_of_models_that_cannot_be_read_is_broken(gigachat: Adapter, body: Any) -> None:
    with pytest.raises(Broken):
        gigachat.model_names(answer(body))


# Answers ------------------------------------------------------------------------------------------

KEYS = (
    "choices",
    "usage",
    "message",
    "delta",
    "function_call",
    "name",
    "arguments",
    "content",
    "status",
    "role",
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-1, 600), st.floats(allow_nan=False), st.sampled_from(KEYS)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from([*KEYS, "finish_reason"]), inner, max_size=4),
    ),
    max_leaves=10,
)


@given(
    message=values,
    reason=values,
    usage=values,
    beside=st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
)
def test_no_answer_raises_anything_but_upstream_errors(
    message: Any, reason: Any, usage: Any, beside: dict[str, Any]
) -> None:
    choice = {"message": message, "delta": message, "finish_reason": reason}
    document = {"choices": [choice], "usage": usage, **beside}

    for read in (_completion, _whole_stream, _event_stream, _failure):
        with contextlib.suppress(UpstreamError):
            read(ADAPTERS["gigachat"], orjson.dumps(document))


def _completion(gigachat: Adapter, raw: bytes) -> None:
    completion = gigachat.chat_completion(answer(raw))
    assert completion["choices"][0]["finish_reason"]


def _whole_stream(gigachat: Adapter, raw: bytes) -> None:
    stream = gigachat.chat_stream()
    _drain(stream.feed(raw))
    _drain(stream.end())


def _event_stream(gigachat: Adapter, raw: bytes) -> None:
    stream = gigachat.chat_stream()
    _drain(stream.feed(b"data: " + raw + b"\n\n"))
    _drain(stream.end())


def _drain(chunks: Iterator[Chunk]) -> None:
    assert all("choices" in chunk for chunk in chunks)


def _failure(gigachat: Adapter, raw: bytes) -> None:
    raise gigachat.failure(answer(raw, 422))


# Requests -----------------------------------------------------------------------------------------


def test_a_twin_without_authorization_gets_no_header(gigachat: Adapter) -> None:
    request = gigachat.models_request(Target(base_url="http://127.0.0.1:9100/v1", model="GigaChat-2"))

    assert "Authorization" not in request.headers


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b"])
def test_half_a_character_is_refused(gigachat: Adapter, text: str) -> None:
    with pytest.raises(Rejected):
        gigachat.chat_request({"messages": [{"role": "user", "content": text}]}, TARGET)


def test_what_is_declared_dropped_is_not_sent(gigachat: Adapter) -> None:
    dropped = [name for name, support in type(gigachat).FIELDS.items() if support is Support.DROPPED]
    plain = {"messages": [{"role": "user", "content": "Привет"}]}

    request = gigachat.chat_request({**plain, **dict.fromkeys(dropped, 1)}, TARGET)

    assert request == gigachat.chat_request(plain, TARGET)


# Names --------------------------------------------------------------------------------------------

TAKEN = set(string.ascii_letters + string.digits + "_.-")
names = st.one_of(
    st.text(min_size=1, max_size=64),
    st.text(alphabet="fn.2d_-а ", min_size=1, max_size=16),
    st.sampled_from(sorted(RESERVED)),
)


@given(name=names)
def test_every_name_is_made_acceptable_and_comes_back(name: str) -> None:
    sent = vendor_name(name)

    assert set(sent) <= TAKEN
    assert not sent[0].isdigit()
    assert sent not in RESERVED
    assert customer_name(sent) == name


@pytest.mark.parametrize("name", ["get_rate", "get-rate", "mcp.server.get_rate", "_f1"])
def test_a_name_gigachat_takes_is_left_alone(name: str) -> None:
    assert vendor_name(name) == name


@given(name=st.text(max_size=40))
def test_no_name_the_vendor_makes_up_does_harm(name: str) -> None:
    assert isinstance(customer_name(name), str)
    assert isinstance(customer_name(f"fn.{name}"), str)


# Schemas ------------------------------------------------------------------------------------------

KEYWORDS = ("$ref", "anyOf", "oneOf", "allOf", "not", "$defs", "const")
KINDS = ("object", "array", "string", "integer", "null")
REFS = ("#/$defs/a", "#/$defs/b", "#/properties/a/anyOf/0", "#", "#/nowhere", "other.json")

scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["x", "y"]))


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A schema around others; now and then a keyword holds what it must not."""
    some = st.lists(inner, max_size=3)
    properties = st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    keywords = {
        "type": st.one_of(st.sampled_from(KINDS), st.lists(st.sampled_from(KINDS), max_size=2)),
        "format": st.sampled_from(["date", "email"]),
        "enum": st.lists(scalars, max_size=3),
        "const": scalars,
        "description": st.just("что это"),
        "properties": properties,
        "required": st.lists(st.sampled_from(["a", "b", "z"]), max_size=2),
        "additionalProperties": inner,
        "items": st.one_of(inner, some),
        "anyOf": some,
        "oneOf": some,
        "allOf": some,
        "$ref": st.sampled_from(REFS),
        "$defs": properties,
    }
    wrong = st.one_of(scalars, some, properties)
    return st.one_of(
        *[st.fixed_dictionaries({}, optional=keywords)] * 3,
        st.dictionaries(st.sampled_from(sorted(keywords)), wrong, max_size=3),
    )


@given(schema=st.recursive(st.booleans(), _wider, max_leaves=12))
def test_every_schema_is_brought_into_the_subset_or_refused(schema: Any) -> None:
    before = repr(schema)
    try:
        flat = parameters(schema)
    except Rejected:
        return
    finally:
        assert repr(schema) == before

    assert flat["type"] == "object"
    _check_subset(flat)


def _check_subset(schema: dict[str, Any]) -> None:
    assert not schema.keys() & set(KEYWORDS)
    assert isinstance(schema.get("type", ""), str)
    assert schema.get("type") != "object" or isinstance(schema["properties"], dict)
    assert all(isinstance(value, str) for value in schema.get("enum", []))
    assert schema.get("format", "date") in FORMATS
    assert set(schema.get("required", [])) <= set(schema.get("properties", {}))
    for below in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        _check_subset(below)


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}

    with pytest.raises(Rejected):
        parameters({"properties": {"deep": schema}})
