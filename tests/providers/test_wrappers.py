"""JSON by prompt, over adapters whose vendors are not told of it by a field."""

import copy
import json
from typing import Any

import pytest

from providers.adapters import ADAPTERS
from providers.emulation import EmulatedTools
from providers.wire import Support, Target, UpstreamResponse
from providers.wrappers import EmulatedForm

Json = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "Город"}}}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}}
QUESTION = {"role": "user", "content": "Столица Карелии?"}
TOOL = {
    "type": "function",
    "function": {"name": "get_rate", "parameters": {"type": "object", "properties": {}}},
}
OPTIONS = {"folder_id": "b1gfolder"}
FEATURES = frozenset({"tools"})


def sent(adapter: str, chat: Json) -> Json:
    before = copy.deepcopy(chat)
    target = Target("https://a.test", "m", options=OPTIONS, features=FEATURES)
    body: Json = json.loads(EmulatedForm(ADAPTERS[adapter]).chat_request(chat, target).body)
    assert chat == before
    return body


def said(adapter: str, **fields: Any) -> str:
    """The system message."""
    first = sent(adapter, {"messages": [QUESTION], **fields})["messages"][0]
    assert first["role"] == "system"
    return str(first.get("content") or first.get("text"))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_schema_is_in_the_prompt_and_nowhere_else(adapter):
    body = sent(adapter, {"messages": [QUESTION], "response_format": BY_SCHEMA})

    assert not {"response_format", "jsonSchema", "jsonObject"} & body.keys()
    prompt = said(adapter, response_format=BY_SCHEMA)
    assert json.dumps(SCHEMA, ensure_ascii=False, separators=(",", ":")) in prompt
    assert prompt.startswith("Ответ должен быть только корректным JSON")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_any_object_needs_no_schema(adapter):
    prompt = said(adapter, response_format={"type": "json_object"})

    assert prompt == "Ответ должен быть только корректным JSON: один объект, без пояснений и без разметки."


@pytest.mark.parametrize("form", [None, {"type": "text"}])
def test_text_is_asked_for_as_it_always_was(form):
    chat = {"messages": [QUESTION], "response_format": form}

    assert sent("openai", chat) == sent("openai", {"messages": [QUESTION]})


def test_the_customers_system_message_comes_first():
    chat = {"messages": [{"role": "system", "content": "Кратко."}, QUESTION], "response_format": BY_SCHEMA}

    head, question = sent("openai", chat)["messages"]

    assert head["content"].startswith("Кратко.\n\nОтвет должен быть только корректным JSON")
    assert question == QUESTION


@pytest.mark.parametrize(
    ("choice", "beginning"), [("auto", "Ответ, в котором нет вызова,"), ("none", "Ответ должен быть")]
)
def test_where_a_function_may_be_called_only_words_have_to_be_json(choice, beginning):
    prompt = said("openai", response_format=BY_SCHEMA, tools=[TOOL], tool_choice=choice)

    assert prompt.startswith(beginning)


@pytest.mark.parametrize(("choice", "times"), [("auto", 1), ("none", 1), ("required", 0)])
def test_with_tools_by_prompt_the_form_is_told_once_where_words_are_allowed(choice, times):
    chat = {"messages": [QUESTION], "tools": [TOOL], "tool_choice": choice, "response_format": BY_SCHEMA}
    adapter = EmulatedTools(EmulatedForm(ADAPTERS["openai"]), chat)

    body = json.loads(adapter.chat_request(chat, Target("https://a.test", "m")).body)

    assert body["messages"][0]["content"].count("JSON Schema: {") == times
    assert "response_format" not in body


def test_an_answer_is_the_vendors_own_fences_and_all():
    message = {"role": "assistant", "content": '```json\n{"city": "Петрозаводск"}\n```'}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    response = UpstreamResponse(200, {}, body)

    told = EmulatedForm(ADAPTERS["openai"]).chat_completion(response)

    assert told == ADAPTERS["openai"].chat_completion(response)
    assert told["choices"][0]["message"]["content"] == message["content"]


def test_only_the_form_is_emulated():
    wrapped = EmulatedForm(ADAPTERS["yandexgpt"])

    assert wrapped.supports("response_format") is Support.EMULATED
    assert wrapped.supports("stop") is ADAPTERS["yandexgpt"].supports("stop")
