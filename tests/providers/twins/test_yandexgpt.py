"""YandexGPT's native wire as its twin speaks it."""

import time
from itertools import pairwise

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.providers.twins.stand import FOLDER, YANDEX_CHAT, events, question

WEATHER = {
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    }
}
USER = {"role": "user", "text": "Погода в Казани?"}
ARGUMENTS = {"name": "get_weather", "arguments": {"city": "Казань"}}
CALL = {"role": "assistant", "toolCallList": {"toolCalls": [{"functionCall": ARGUMENTS}]}}
RESULTS = {"toolResults": [{"functionResult": {"name": "get_weather", "content": '{"t": -5}'}}]}


async def test_an_answer_is_wrapped_and_counts_in_strings(stand):
    _, body = await stand.ask("yandexgpt", "12345678")

    result = body["result"]
    assert result["alternatives"][0]["status"] == "ALTERNATIVE_STATUS_FINAL"
    assert result["usage"]["inputTextTokens"] == "6"
    assert result["usage"]["completionTokensDetails"] == {}
    assert int(result["usage"]["totalTokens"]) == 6 + int(result["usage"]["completionTokens"])


async def test_a_stream_repeats_the_whole_text_line_by_line(stand):
    _, text = await stand.ask("yandexgpt", "[[tokens=50]]", stream=True)

    lines = [line["result"] for line in events(text)]
    said = [line["alternatives"][0]["message"]["text"] for line in lines]
    states = [line["alternatives"][0]["status"] for line in lines]
    counts = [int(line["usage"]["completionTokens"]) for line in lines]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(said))
    assert set(states[:-1]) == {"ALTERNATIVE_STATUS_PARTIAL"}
    assert states[-1] == "ALTERNATIVE_STATUS_FINAL"
    assert counts == sorted(counts)
    assert counts[-1] == 50


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_with_numbers_as_doubles(stream, stand):
    _, got = await stand.ask("yandexgpt", "Погода в Казани на 3 дня?", stream=stream, tools=[WEATHER])

    alternative = (events(got)[-1] if stream else got)["result"]["alternatives"][0]
    call = alternative["message"]["toolCallList"]["toolCalls"][0]["functionCall"]
    assert call["arguments"] == {"city": "Казань", "days": 3.0}
    assert isinstance(call["arguments"]["days"], float)
    assert alternative["status"] == "ALTERNATIVE_STATUS_TOOL_CALLS"


async def test_a_round_with_a_tool_is_answered(stand):
    messages = [USER, CALL, {"role": "user", "toolResultList": RESULTS}]

    _, body = await stand.ask("yandexgpt", "", messages=messages, tools=[WEATHER])

    assert '{"t": -5}' in body["result"]["alternatives"][0]["message"]["text"]


async def test_a_limit_truncates(stand):
    options = {"maxTokens": "5"}

    _, body = await stand.ask("yandexgpt", "Привет", completionOptions=options)

    assert body["result"]["alternatives"][0]["status"] == "ALTERNATIVE_STATUS_TRUNCATED_FINAL"
    assert body["result"]["usage"]["completionTokens"] == "5"


async def test_hidden_thoughts_are_counted(stand):
    options = {"reasoningOptions": {"mode": "ENABLED_HIDDEN"}}

    _, body = await stand.ask("yandexgpt", "Привет", completionOptions=options)

    assert int(body["result"]["usage"]["completionTokensDetails"]["reasoningTokens"]) > 0


@pytest.mark.parametrize(
    ("fields", "status", "grpc"),
    [
        ({"modelUri": f"gpt://{FOLDER}/no-such/latest"}, 404, 5),
        ({"modelUri": f"gpt://{FOLDER}/yandexgpt/old"}, 400, 3),
        ({"modelUri": "yandexgpt"}, 400, 3),
        ({"modelUri": "gpt://other/yandexgpt/latest"}, 400, 3),
        ({"completionOptions": {"temperature": 1.5}}, 400, 3),
        ({"completionOptions": {"maxTokens": 0}}, 400, 3),
        ({"completionOptions": {"top_p": 0.5}}, 400, 3),
        ({"completionOptions": {"reasoningOptions": {"mode": "ON"}}}, 400, 3),
        ({"stop": ["x"]}, 400, 3),
        ({"messages": []}, 400, 3),
        ({"messages": [{"role": "tool", "text": "x"}]}, 400, 3),
        ({"messages": [{"role": "user"}]}, 400, 3),
        ({"messages": [{"role": "user", "text": "x", "toolResultList": RESULTS}]}, 400, 3),
        ({"messages": [{"role": "user", "text": ["x"]}]}, 400, 3),
        ({"messages": [{"role": "assistant", "toolResultList": RESULTS}]}, 400, 3),
        ({"messages": [{"role": "user", "toolCallList": {"toolCalls": []}}]}, 400, 3),
        ({"tools": [{"type": "function", **WEATHER}]}, 400, 3),
        ({"tools": [WEATHER], "toolChoice": {"functionName": "other"}}, 400, 3),
        ({"tools": [WEATHER], "toolChoice": {"mode": "auto"}}, 400, 3),
        ({"jsonObject": True, "jsonSchema": {"schema": {}}}, 400, 3),
        ({"jsonSchema": {"type": "object"}}, 400, 3),
        ({"messages": [{"role": "user", "text": "х" * 140_000}]}, 400, 3),
    ],
)
async def test_what_the_vendor_refuses_is_refused(fields, status, grpc, stand):
    got = await stand.ask("yandexgpt", "Привет", **fields)

    assert (got[0], got[1]["error"]["httpCode"], got[1]["error"]["grpcCode"]) == (status, status, grpc)


async def test_another_folder_in_the_header_is_refused(stand):
    headers = {"Authorization": "Api-Key key", "x-folder-id": "b1gother000000000000"}

    status, body = await stand.post(YANDEX_CHAT, question("yandexgpt", "Привет")[1], **headers)

    assert status == 400
    assert "does not match with service account folder ID" in body["error"]["message"]


@pytest.mark.parametrize("authorization", ["", "Api-Key bad", "Bearer t1.unknown", "Api-Key"])
async def test_a_wrong_credential_is_refused(authorization, stand):
    status, body = await stand.post(YANDEX_CHAT, question("yandexgpt", "x")[1], Authorization=authorization)

    assert (status, body["error"]["grpcCode"], body["error"]["httpStatus"]) == (401, 16, "Unauthorized")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(key: rsa.RSAPrivateKey, algorithm: str = "PS256", **claims: object) -> str:
    now = int(time.time())
    whole = {"iss": "aje", "aud": "https://iam/iam/v1/tokens", "iat": now, "exp": now + 3600, **claims}
    return jwt.encode(whole, key, algorithm=algorithm, headers={"kid": "k"})


async def test_a_signed_key_is_exchanged_for_a_token(key, stand):
    status, body = await stand.post("/yandexgpt/iam/v1/tokens", {"jwt": signed(key)})

    assert status == 200
    assert body["iamToken"].startswith("t1.")
    assert body["expiresAt"].endswith("931Z")
    bearer = f"Bearer {body['iamToken']}"
    assert (await stand.post(YANDEX_CHAT, question("yandexgpt", "x")[1], Authorization=bearer))[0] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "RS256"},
        {"aud": "https://other"},
        {"exp": int(time.time()) + 7200},
        {"iat": int(time.time()) - 9000, "exp": int(time.time()) - 8000},
        {"iss": ""},
    ],
)
async def test_a_wrong_signature_or_claim_is_refused(wrong, key, stand):
    status, body = await stand.post("/yandexgpt/iam/v1/tokens", {"jwt": signed(key, **wrong)})

    assert (status, body["code"]) == (401, 16)


@pytest.mark.parametrize("body", [{}, {"jwt": "x.y.z"}, {"jwt": 5}])
async def test_what_is_no_jwt_is_refused(body, stand):
    assert (await stand.post("/yandexgpt/iam/v1/tokens", body))[0] == 401


async def test_what_is_not_chat_has_its_shape(stand):
    headers = {"Authorization": "Api-Key key"}
    base, uri = "/yandexgpt/foundationModels/v1", f"gpt://{FOLDER}/yandexgpt/latest"
    text = {"modelUri": f"emb://{FOLDER}/text-search-doc/latest", "text": "раз и два"}

    _, found = await stand.post(f"{base}/tokenize", {"modelUri": uri, "text": "раз и"}, **headers)
    _, more = await stand.post(f"{base}/tokenizeCompletion", {"modelUri": uri, "messages": [USER]}, **headers)
    _, vector = await stand.post(f"{base}/textEmbedding", text, **headers)

    assert found["tokens"][0] == {"id": "1000", "text": "раз ", "special": False}
    assert len(more["tokens"]) == 4
    assert (len(vector["embedding"]), vector["numTokens"]) == (256, "3")
