"""YandexGPT beyond recorded conversations: credentials, tokens, the probe, and the size of things."""

import json
from functools import cache
from itertools import count
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from providers.adapters.yandexgpt import AUDIENCE, YandexGPT
from providers.adapters.yandexgpt_schema import inlined
from providers.errors import Broken, DeadCredential, Rejected
from providers.sse import EVENT_LIMIT
from providers.wire import Support, Target, UpstreamResponse

FOLDER = "b1gvmob95yysaplct532"
TARGET = Target("https://llm.test", "yandexgpt/latest", "Api-Key AQVNsecret", {"folder_id": FOLDER})
TWIN = "http://127.0.0.1:9102/iam/v1/tokens"
NOW = 1_795_000_000.7
END = "2026-11-22T21:14:03.512740931Z"


@cache
def key_pair() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(**fields: Any) -> dict[str, Any]:
    pem = key_pair().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "id": "ajekeyid",
        "service_account_id": "ajeaccount",
        "key_algorithm": "RSA_2048",
        "private_key": "PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <ajekeyid>\n" + pem.decode(),
        **fields,
    }


def token_request(key: Any) -> Any:
    adapter = YandexGPT()
    return adapter.token_request({"service_account_key": key}, TWIN, now=NOW, request_id="a-request")


def answer(status: int, body: Any) -> UpstreamResponse:
    return UpstreamResponse(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


# Credentials.


def test_an_api_key_needs_no_exchange():
    assert YandexGPT().static_authorization({"api_key": "AQVNsecret"}) == "Api-Key AQVNsecret"


def test_a_service_accounts_key_is_exchanged():
    assert YandexGPT().static_authorization({"service_account_key": key_file()}) is None


def test_the_token_request_goes_where_the_provider_is_configured():
    request = token_request(key_file())

    assert (request.method, request.url) == ("POST", TWIN)
    assert request.headers["x-client-request-id"] == "a-request"
    assert json.loads(request.body).keys() == {"jwt"}


def test_the_jwt_names_the_account_and_the_vendors_own_audience():
    signed = json.loads(token_request(key_file()).body)["jwt"]

    assert jwt.get_unverified_header(signed) == {"typ": "JWT", "alg": "PS256", "kid": "ajekeyid"}
    assert jwt.decode(signed, options={"verify_signature": False}) == {
        "iss": "ajeaccount",
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }


def test_the_jwt_is_signed_with_a_salt_as_long_as_the_hash():
    signed = json.loads(token_request(key_file()).body)["jwt"]

    content, _, signature = signed.rpartition(".")
    salted = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
    key_pair().public_key().verify(
        jwt.utils.base64url_decode(signature), content.encode(), salted, hashes.SHA256()
    )


NAMES = {"id": "ajekeyid", "service_account_id": "ajeaccount"}


@pytest.mark.parametrize(
    "key",
    [
        None,
        {},
        "a path",
        NAMES,
        {**NAMES, "private_key": None},
        {**NAMES, "private_key": "no PEM in here"},
        {**NAMES, "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
    ],
)
def test_a_key_file_that_cannot_sign_is_a_dead_credential(key):
    with pytest.raises(DeadCredential):
        token_request(key)


# Tokens.


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        (END, 1795382043.512740),
        ("2026-11-22T21:14:03Z", 1795382043),
        ("2026-11-22T21:14:03.5Z", 1795382043.5),
        ("2026-11-23T00:14:03.512740931+03:00", 1795382043.512740),
    ],
)
def test_the_tokens_end_may_have_nanoseconds(end, seconds):
    token = YandexGPT().token(answer(200, {"iamToken": "t1.secret", "expiresAt": end}), now=NOW)

    assert token.value == "t1.secret"
    assert token.expires_at == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", Broken),
        (200, b"<html>", Broken),
        (200, [], Broken),
        (200, {}, Broken),
        (200, {"iamToken": "", "expiresAt": END}, Broken),
        (200, {"iamToken": "t1.secret"}, Broken),
        (200, {"iamToken": "t1.secret", "expiresAt": 1795382043}, Broken),
        (200, {"iamToken": "t1.secret", "expiresAt": "tomorrow"}, Broken),
        (400, {"code": 3, "message": "JWT is not valid", "details": []}, DeadCredential),
        (401, {"code": 16, "message": "Unknown key", "details": []}, DeadCredential),
        (403, {"error": {"grpcCode": 7, "httpCode": 403}}, DeadCredential),
        (404, b"", DeadCredential),
        (429, b"", Broken),
        (500, b"", Broken),
        (503, b"<html>", Broken),
    ],
)
def test_an_exchange_without_a_token_tells_whose_fault_it_is(status, body, kind):
    with pytest.raises(kind) as failure:
        YandexGPT().token(answer(status, body), now=NOW)

    assert type(failure.value) is kind
    assert "t1.secret" not in f"{failure.value} {failure.value.detail}"


# The probe.


def test_the_probe_is_the_free_tokenizer():
    probe = YandexGPT().models_request(TARGET)

    assert probe.url == "https://llm.test/foundationModels/v1/tokenize"
    assert probe.headers["authorization"] == "Api-Key AQVNsecret"
    assert json.loads(probe.body) == {"modelUri": f"gpt://{FOLDER}/yandexgpt/latest", "text": "1"}
    assert YandexGPT().model_names(answer(200, {"tokens": []})) == []


def test_without_authorisation_no_header_is_sent():
    probe = YandexGPT().models_request(Target("https://llm.test", "m", options={"folder_id": FOLDER}))

    assert "authorization" not in probe.headers


# What the customer may see.


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 504])
@pytest.mark.parametrize(
    "words", [f"folder {FOLDER}", f"gpt://{FOLDER}/yandexgpt", f"{FOLDER}", "AQVNsecretsecret"]
)
def test_errors_quote_neither_folder_nor_key(status, words):
    body = {"error": {"grpcCode": 3, "httpCode": status, "message": f"No: {words}"}}

    failure = YandexGPT().failure(answer(status, body))

    assert FOLDER not in f"{failure} {failure.detail}"
    assert "AQVN" not in f"{failure} {failure.detail}"


def test_what_is_emulated_is_said_so():
    adapter = YandexGPT()

    assert adapter.supports("tools") is Support.EXACT
    assert adapter.supports("stop") is Support.EMULATED
    assert {adapter.supports(f) for f in ("top_p", "seed", "n", "logprobs", "user", "unheard")} == {
        Support.DROPPED
    }


# The size of things.


def line(text: str, status: str = "PARTIAL") -> bytes:
    alternative = {"message": {"role": "assistant", "text": text}, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative]}}, ensure_ascii=False).encode() + b"\n"


def test_a_line_of_two_megabytes_passes_in_small_pieces():
    stream = YandexGPT().chat_stream()
    body = line("я" * 1_000_000, "FINAL")

    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    chunks = [chunk for piece in pieces for chunk in stream.feed(piece)]

    assert len(chunks[0]["choices"][0]["delta"]["content"]) == 1_000_000
    assert stream.finished


@pytest.mark.parametrize("size", [64 * 1024, 2 * EVENT_LIMIT])
def test_a_line_over_the_limit_is_refused(size):
    stream = YandexGPT().chat_stream()
    body = line("a" * EVENT_LIMIT)

    with pytest.raises(Broken):
        for at in range(0, len(body), size):
            list(stream.feed(body[at : at + size]))


def test_a_long_cumulative_stream_is_its_own_sum():
    stream = YandexGPT().chat_stream()
    words = [f"слово{number} " for number in range(500)]
    lines = [line("".join(words[: number + 1])) for number in range(500)] + [line("".join(words), "FINAL")]

    chunks = [chunk for one in lines for chunk in stream.feed(one)]

    assert [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks] == [*words, ""]


def test_a_schema_nested_without_end_is_refused():
    schema: Any = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}
    for _ in range(150):
        schema = {"items": schema, "$defs": {"a": {"type": "null"}}}

    with pytest.raises(Rejected):
        inlined(schema)


def test_two_answers_have_calls_with_ids_of_their_own():
    numbers = count(1)
    adapter = YandexGPT(new_id=lambda: f"call_{next(numbers)}")
    call = {"functionCall": {"name": "f", "arguments": {}}}
    alternative = {
        "message": {"toolCallList": {"toolCalls": [call]}},
        "status": "ALTERNATIVE_STATUS_TOOL_CALLS",
    }
    response = answer(200, {"result": {"alternatives": [alternative]}})

    ids = [
        adapter.chat_completion(response)["choices"][0]["message"]["tool_calls"][0]["id"] for _ in range(2)
    ]

    assert ids == ["call_1", "call_2"]
