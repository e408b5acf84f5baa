"""Requests that are refused at either door: the status, the envelope, what is kept quiet."""

import json
import re
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.e2e.installation import Installation, Server, Twins, leaked
from tests.e2e.talk import ask, chat, post

CANARY = "канарейка-5417"
# Where the text of a prompt may stand in a request that is refused.
GOOD = chat("gigachat/pro", CANARY)


def said(**changes: Any) -> bytes:
    """A good request with some fields changed; None takes one away."""
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return json.dumps(body).encode()


def nested(depth: int) -> bytes:
    return said(metadata="@").replace(b'"@"', b'{"a":' + b"[" * depth + b"]" * depth + b"}")


# name: (body, param)
BAD_REQUESTS: dict[str, tuple[bytes, str | None]] = {
    "no JSON": (f'{{"model": "{CANARY}'.encode(), None),
    "empty body": (b"", None),
    "an array": (b"[]", None),
    "not UTF-8": (b'{"model": "\xff"}', None),
    "no model": (said(model=None), "model"),
    "model is a number": (said(model=7), "model"),
    "model with a line break": (said(model="a\r\nb"), "model"),
    "no messages": (said(messages=None), "messages"),
    "empty messages": (said(messages=[]), "messages"),
    "both messages and prompt": (said(prompt=CANARY), "prompt"),
    "unknown role": (said(messages=[{"role": "robot", "content": CANARY}]), "messages[0].role"),
    "content is a number": (said(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
    "temperature is a text": (said(temperature=CANARY), "temperature"),
    "temperature out of range": (said(temperature=3), "temperature"),
    "negative limit": (said(max_tokens=-1), "max_tokens"),
    "two answers": (said(n=2), "n"),
    "NUL in a text": (said(messages=[{"role": "user", "content": f"{CANARY}\0"}]), "messages[0].content"),
    "lone surrogate": (said(user="\ud800"), "user"),
    "NaN": (said(temperature=float("nan")), "temperature"),
    "a nesting bomb": (nested(50_000), None),
    "nested a little too deep": (nested(80), None),
}
TOO_LARGE = (1_500_000, 8_000_000)  # letters of two bytes
UNKNOWN_MODELS = ("gigachat/pr", "../../etc/passwd", "gpt://b1gother/x", "a b", "m" * 256)


def refused(answer: requests.Response, status: int, kind: str, param: str | None) -> None:
    """Check that ``answer`` is the envelope of such a refusal, and repeats nothing of the prompt."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert (error["metadata"]["error_type"], error["param"]) == (kind, param)
    assert error["type"] == "invalid_request_error"
    assert error["metadata"]["request_id"] == answer.headers["x-request-id"]
    assert (error["metadata"]["retryable"], answer.headers["x-should-retry"]) == (False, "false")
    assert answer.headers["content-type"] == "application/json"
    assert CANARY not in answer.text


@pytest.mark.parametrize(("body", "param"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_body_is_refused_with_the_field_at_fault(
    door: Server, key: str, body: bytes, param: str | None
):
    refused(post(door, key, body), 400, "invalid_request", param)


@pytest.mark.parametrize("letters", TOO_LARGE)
def test_a_body_over_the_limit_is_refused(door: Server, key: str, letters: int):
    refused(post(door, key, said(user="я" * letters)), 413, "request_too_large", None)


@pytest.mark.parametrize("model", UNKNOWN_MODELS)
def test_an_unknown_model_is_not_found(door: Server, key: str, model: str):
    refused(post(door, key, said(model=model)), 404, "model_not_found", "model")


def test_an_unknown_model_is_answered_with_the_nearest_names(door: Server, key: str):
    error = post(door, key, said(model="gigachat/prro")).json()["error"]

    assert "gigachat/pro" in error["message"]
    assert error["metadata"]["model_slug"] == "gigachat/prro"


def test_codes_are_words_for_whoever_asks(door: Server, key: str):
    answer = post(door, key, said(model="nobody/knows"), x_xrouter_error_codes="string")

    assert answer.json()["error"]["code"] == "model_not_found"


def test_a_form_is_no_json(door: Server, key: str):
    answer = post(door, key, b"--x", Content_Type="multipart/form-data; boundary=x")

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("change", "exception"),
    [
        ({"model": "nobody/knows"}, openai.NotFoundError),
        ({"temperature": 9}, openai.BadRequestError),
        ({"messages": []}, openai.BadRequestError),
    ],
)
def test_the_sdk_raises_the_class_of_the_status(
    sdk: OpenAI, change: dict[str, Any], exception: type[openai.APIStatusError]
):
    with pytest.raises(exception) as caught:
        sdk.chat.completions.create(**{**GOOD, **change})

    assert re.fullmatch(r"req_[0-9a-f]{24}", caught.value.request_id)
    assert caught.value.body["metadata"]["error_type"]
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions/", GOOD),
        ("/v1/completions/", {"model": "gigachat/pro", "prompt": CANARY}),
        ("/v1/embeddings/", {"model": "vectors/alone", "input": CANARY}),
    ],
)
def test_a_slash_at_the_end_of_an_address_changes_nothing(
    door: Server, key: str, path: str, fields: dict[str, Any]
):
    body = json.dumps(fields).encode()

    assert post(door, key, body, path=path).status_code == 200
    assert post(door, "sk-wrong", body, path=path).status_code == 401


def test_a_good_answer_has_the_published_headers(door: Server, key: str):
    answer = post(door, key, said(), x_request_id="mine-1")

    headers = answer.headers
    assert re.fullmatch(r"req_[0-9a-f]{24}", headers["x-request-id"])
    assert headers["x-generation-id"] == answer.json()["id"]
    assert headers["x-xrouter-provider"] == "gigachat-twin"
    assert headers["x-xrouter-model"] == "gigachat/pro"
    assert headers["x-xrouter-attempts"] == "1"
    assert 0 <= float(headers["x-xrouter-overhead-ms"]) < 1000
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == "*"
    exposed = headers["access-control-expose-headers"].split(", ")
    assert {name for name in headers if name.startswith("x-xrouter-")} <= set(exposed)


def test_a_stream_has_them_too_and_is_not_buffered(door: Server, key: str):
    heard = ask(door, key, {**GOOD, "stream": True})

    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert heard.headers["x-accel-buffering"] == "no"
    assert heard.headers["x-generation-id"].startswith("gen-")
    assert heard.attempts == 1


def test_headers_of_other_clients_are_accepted(door: Server, key: str):
    heard = ask(
        door,
        key,
        GOOD,
        OpenAI_Organization="org-1",
        OpenAI_Project="p",
        OpenAI_Beta="assistants=v2",
        x_stainless_lang="js",
        HTTP_Referer="https://example.test",
        X_Title="Проверка".encode().decode("latin-1"),
    )

    assert heard.status == 200


def test_nothing_of_a_client_reaches_a_provider(door: Server, key: str, twins: Twins):
    ask(
        door,
        key,
        {
            **GOOD,
            "user": "ivan@example.test",
            "session_id": "sess-77",
            "metadata": {"m": "ivan@example.test"},
        },
        Cookie="sid=9",
        X_Forwarded_For="10.1.2.3",
    )

    assert leaked(twins, [key, "sid=9", "10.1.2.3", "ivan@example.test", "sess-77"]) == []


def test_prompts_are_in_no_log(express: Server, framework: Server, key: str, installation: Installation):
    for server in (express, framework):
        ask(server, key, GOOD)
        ask(server, key, {**GOOD, "stream": True})
        for fault in ("http_400", "http_500", "cut.after=2", "secret_echo", "ok_badjson", "http_401"):
            for is_streamed in (False, True):
                ask(server, key, chat("gigachat/pro", f"[[fault={fault}]]{CANARY}", stream=is_streamed))

    logs = express.program.said() + framework.program.said()

    assert logs
    assert CANARY not in logs
    assert key not in logs
    assert "Traceback" not in logs
