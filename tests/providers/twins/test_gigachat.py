"""GigaChat's wire as its twin speaks it."""

from uuid import uuid4

import pytest

from providers.twins.dialect import Visit
from providers.twins.gigachat import GigaChat
from providers.twins.shapes import Refused
from tests.providers.twins.stand import Stand, events, question

CHAT = "/gigachat/api/v1/chat/completions"
WEATHER = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
USER = {"role": "user", "content": "Привет"}
CALL = {
    "role": "assistant",
    "content": "",
    "function_call": {"name": "get_weather", "arguments": {"city": "Ухта"}},
}
RESULT = {"role": "function", "name": "get_weather", "content": '{"t": -5}'}


async def oauth(stand: Stand, scope: str = "GIGACHAT_API_PERS", **headers: str) -> tuple[int, dict]:
    form = {"scope": scope} if scope else {}
    async with stand.http.post("/gigachat/api/v2/oauth", data=form, headers=headers) as response:
        return response.status, await response.json()


async def test_a_token_is_long_and_ends_in_half_an_hour(stand):
    status, body = await oauth(stand, Authorization="Basic a2V5OnNlY3JldA==", RqUID=str(uuid4()))

    assert status == 200
    assert 1150 < len(body["access_token"]) < 1300
    assert len(str(body["expires_at"])) == 13


@pytest.mark.parametrize(
    ("scope", "headers", "status", "code"),
    [
        ("GIGACHAT_API_PERS", {"Authorization": "Basic key"}, 400, 4),
        ("GIGACHAT_API_PERS", {"Authorization": "Basic key", "RqUID": "not-a-uuid"}, 400, 4),
        (
            "GIGACHAT_API_PERS",
            {"Authorization": "Basic key", "RqUID": "6f0b1291-c7f3-11ee-bb2e-9f3efb2dc98e"},
            400,
            4,
        ),
        ("GIGACHAT_API_PERS", {"Authorization": "Basic bad", "RqUID": "{uuid}"}, 401, 6),
        ("GIGACHAT_API_PERS", {"RqUID": "{uuid}"}, 401, 6),
        ("", {"Authorization": "Basic key", "RqUID": "{uuid}"}, 400, 5),
        ("GIGACHAT", {"Authorization": "Basic key", "RqUID": "{uuid}"}, 400, 1),
    ],
)
async def test_oauth_refuses_in_its_own_shape(scope, headers, status, code, stand):
    headers = {name: value.replace("{uuid}", str(uuid4())) for name, value in headers.items()}

    got = await oauth(stand, scope, **headers)

    assert (got[0], got[1]["code"]) == (status, code)


def test_a_token_ends_when_its_time_has_come():
    twin = GigaChat(token_lifetime=2)
    token, _ = twin._tokens.issue("eyJ", "key", now=100)
    visit = Visit("POST", "/", {"User-Agent": "x", "Authorization": f"Bearer {token}"}, b"", now=101)

    assert twin.authorize(visit) == "key"
    with pytest.raises(Refused):
        twin.authorize(Visit("POST", "/", visit.headers, b"", now=103))


async def test_an_unknown_token_has_expired(stand):
    got = await stand.post(CHAT, question("gigachat", "Привет")[1], Authorization="Bearer x")

    assert got == (401, {"status": 401, "message": "Token has expired"})


async def test_an_answer_has_no_id_a_versioned_model_and_net_usage(stand):
    _, body = await stand.ask("gigachat", "12345678")

    assert "id" not in body
    assert body["model"] == "GigaChat-2:2.0.28.2"
    assert body["object"] == "chat.completion"
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["precached_prompt_tokens"]) == (4, 2)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_a_session_finds_more_in_the_cache(stand):
    token, body = await stand.giga_token(), question("gigachat", "Длинный вопрос о погоде")[1]
    headers = {"Authorization": f"Bearer {token}", "X-Session-ID": "s"}

    first, second = [(await stand.post(CHAT, body, **headers))[1]["usage"] for _ in range(2)]

    assert first["precached_prompt_tokens"] == 2
    assert second["precached_prompt_tokens"] == first["prompt_tokens"] + 2
    assert second["prompt_tokens"] == 0


async def test_a_stream_has_the_role_first_and_usage_last(stand):
    _, text = await stand.ask("gigachat", "Привет", stream=True)

    first, *_, last = events(text)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert "finish_reason" not in first["choices"][0]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["precached_prompt_tokens"] == 2
    assert text.endswith("data: [DONE]\n\n")
    assert all("role" not in event["choices"][0]["delta"] for event in events(text)[1:])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_function_is_called_with_an_object(stream, stand):
    got = await stand.ask(
        "gigachat", "Погода в Казани?", stream=stream, functions=[WEATHER], function_call="auto"
    )

    choice = (events(got[1])[-1] if stream else got[1])["choices"][0]
    message = choice["delta" if stream else "message"]
    assert message["function_call"] == {"name": "get_weather", "arguments": {"city": "Казань"}}
    assert message["functions_state_id"]
    assert choice["finish_reason"] == "function_call"


async def test_a_round_with_a_function_is_answered(stand):
    status, body = await stand.ask("gigachat", "", messages=[USER, CALL, RESULT], functions=[WEATHER])

    assert status == 200
    assert '{"t": -5}' in body["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "no-such"}, 404),
        ({"temperature": 0}, 400),
        ({"max_tokens": 0}, 400),
        ({"max_tokens": "5"}, 400),
        ({"top_p": 2}, 400),
        ({"stream": 1}, 400),
        ({"reasoning_effort": "none"}, 400),
        ({"messages": []}, 422),
        ({"messages": [USER, {"role": "system", "content": "x"}]}, 422),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, 400),
        ({"messages": [{"role": "user", "content": None}]}, 400),
        ({"messages": [USER, CALL]}, 422),
        ({"messages": [USER, CALL, USER]}, 422),
        ({"messages": [USER, RESULT]}, 422),
        ({"messages": [USER, CALL, {**RESULT, "name": "other"}]}, 422),
        ({"messages": [USER, CALL, {**RESULT, "content": "тепло"}]}, 422),
        ({"messages": [USER, {**CALL, "function_call": {"name": "f", "arguments": "{}"}}]}, 400),
        ({"functions": [{**WEATHER, "name": "1st"}]}, 422),
        ({"functions": [{**WEATHER, "name": "web_search"}]}, 422),
        ({"functions": [{"name": "f"}]}, 422),
        ({"functions": [{"name": "f", "parameters": {"type": "object"}}]}, 422),
        ({"functions": [{"name": "f", "parameters": {"anyOf": []}}]}, 422),
        ({"functions": [{"name": "f", "parameters": {"type": ["string", "null"]}}]}, 422),
        ({"functions": [{"name": "f", "parameters": {"type": "string", "enum": [1]}}]}, 422),
        ({"functions": [{"name": "f", "parameters": {"type": "string", "format": "uuid"}}]}, 422),
        ({"functions": [WEATHER], "function_call": "required"}, 400),
        ({"functions": [WEATHER], "function_call": {"name": "other"}}, 422),
        ({"response_format": {"type": "json_object"}}, 400),
        ({"response_format": {"type": "json_schema"}}, 400),
        ({"response_format": {"type": "json_schema", "strict": True, "schema": {"type": "object"}}}, 400),
        ({"messages": [{"role": "user", "content": "х" * 600_000}]}, 413),
    ],
)
async def test_what_the_vendor_refuses_is_refused(fields, status, stand):
    got = await stand.ask("gigachat", "Привет", **fields)

    assert (got[0], got[1]["status"]) == (status, status)


async def test_unknown_fields_are_tolerated(stand):
    assert (await stand.ask("gigachat", "Привет", stop=["x"], seed=1, user="u"))[0] == 200


async def test_json_by_a_schema_that_is_not_nested(stand):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "strict": True, "schema": schema}

    _, body = await stand.ask("gigachat", "Город Сочи", response_format=wanted)

    assert body["choices"][0]["message"]["content"] == '{"city":"Сочи"}'


async def test_what_is_not_chat_has_its_shape(stand):
    bearer = f"Bearer {await stand.giga_token()}"
    texts = {"model": "EmbeddingsGigaR", "input": ["раз", "два и три"]}

    _, models = await stand.get("/gigachat/api/v1/models", Authorization=bearer)
    _, one = await stand.get("/gigachat/api/v1/models/GigaChat-2", Authorization=bearer)
    _, vectors = await stand.post("/gigachat/api/v1/embeddings", texts, Authorization=bearer)
    _, counts = await stand.post("/gigachat/api/v1/tokens/count", texts, Authorization=bearer)
    _, balance = await stand.get("/gigachat/api/v1/balance", Authorization=bearer)

    assert one in models["data"]
    assert one["owned_by"] == "salutedevices"
    assert [len(item["embedding"]) for item in vectors["data"]] == [2560, 2560]
    assert [item["usage"]["prompt_tokens"] for item in vectors["data"]] == [1, 3]
    assert counts[1] == {"object": "tokens", "tokens": 3, "characters": 9}
    assert balance["balance"][1] == {"usage": "GigaChat-Pro", "value": 50_000}


async def test_an_account_without_packages_has_no_balance(stand):
    bearer = f"Bearer {await stand.giga_token()}"
    await stand.post("/__fault", {"family": "gigachat", "kind": "http_403", "op": "balance"})

    status, _ = await stand.get("/gigachat/api/v1/balance", Authorization=bearer)

    assert status == 403
