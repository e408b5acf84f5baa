"""Tools by prompt, over the YandexGPT adapter: what is asked, what is read back, in pieces of any size."""

import copy
import json
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters import ADAPTERS
from providers.adapters.yandexgpt import YandexGPT
from providers.emulated_calls import CALL_LIMIT, CallReader
from providers.emulation import EmulatedTools
from providers.errors import Rejected, Truncated
from providers.wire import Support, Target, UpstreamResponse

TARGET = Target("https://llm.test", "yandexgpt-lite/latest", options={"folder_id": "b1gfolder"})
NAMES = frozenset({"get_rate", "get_time"})
GET_RATE = {
    "type": "function",
    "function": {
        "name": "get_rate",
        "description": "Курс валюты",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}},
    },
}
GET_TIME = {"type": "function", "function": {"name": "get_time"}}
QUESTION = {"role": "user", "content": "Какой курс юаня?"}
CALL = '<tool_call>{"name": "get_rate", "arguments": {"code": "CNY"}}</tool_call>'
RATE = ("get_rate", '{"code": "CNY"}')
TIME = ("get_time", "{}")


def asking(**fields: Any) -> dict[str, Any]:
    return {"model": "yandexgpt/lite", "messages": [QUESTION], "tools": [GET_RATE, GET_TIME], **fields}


def emulated(chat: dict[str, Any]) -> EmulatedTools:
    numbers = count(1)
    return EmulatedTools(YandexGPT(new_id=lambda: f"call_{next(numbers)}"), chat)


def sent(chat: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(emulated(chat).chat_request(chat, TARGET).body)
    return body


def prompt(chat: dict[str, Any]) -> str:
    first = sent(chat)["messages"][0]
    assert first["role"] == "system"
    return str(first["text"])


def read(*pieces: str, most: int | None = None) -> tuple[str, list[tuple[str, str]]]:
    reader = CallReader(NAMES, most)
    text = "".join(reader.feed(piece) for piece in pieces) + reader.end()
    return text, reader.calls


def answer(text: str, status: str = "FINAL") -> bytes:
    message = {"role": "assistant", "text": text}
    usage = {"inputTextTokens": "70", "completionTokens": "9", "totalTokens": "79"}
    alternative = {"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative], "usage": usage}}).encode() + b"\n"


def streamed(chat: dict[str, Any], *texts: str, status: str = "FINAL") -> list[dict[str, Any]]:
    """Chunks for a cumulative stream of ``texts``."""
    stream = emulated(chat).chat_stream()
    said = "".join(answer(text, "PARTIAL").decode() for text in texts[:-1]).encode() + answer(
        texts[-1], status
    )
    return [*stream.feed(said), *stream.end()]


# What is asked.


def test_tools_go_into_the_system_message_and_nowhere_else():
    chat = asking(tool_choice="auto", parallel_tool_calls=True)
    before = copy.deepcopy(chat)

    body = sent(chat)

    assert body.keys() == {"modelUri", "completionOptions", "messages"}
    assert body["messages"][1:] == [{"role": "user", "text": "Какой курс юаня?"}]
    assert (
        json.dumps(GET_RATE["function"], ensure_ascii=False, separators=(",", ":"))
        in body["messages"][0]["text"]
    )
    assert '<tool_call>{"name": "имя функции"' in body["messages"][0]["text"]
    assert chat == before


def test_the_customers_system_message_comes_before_ours():
    chat = asking(messages=[{"role": "system", "content": "Ты кассир."}, QUESTION])

    assert prompt(chat).startswith("Ты кассир.\n\nТебе доступны функции.")
    assert [m["role"] for m in sent(chat)["messages"]] == ["system", "user"]


def test_a_system_message_in_parts_gets_one_more_part():
    chat = asking(
        messages=[{"role": "developer", "content": [{"type": "text", "text": "Ты кассир."}]}, QUESTION]
    )

    assert prompt(chat).startswith("Ты кассир.\nТебе доступны функции.")


@pytest.mark.parametrize(
    ("fields", "words", "absent"),
    [
        ({}, ["get_rate", "get_time", "Если ни одна функция не нужна", "несколько вызовов"], ["обязан"]),
        ({"tool_choice": "auto"}, ["get_rate", "Если ни одна функция не нужна"], ["обязан"]),
        ({"tool_choice": "required"}, ["get_rate", "get_time", "обязан"], ["Если ни одна"]),
        ({"tool_choice": "none"}, ["Функции сейчас недоступны"], ["get_rate"]),
        (
            {"tool_choice": {"type": "function", "function": {"name": "get_time"}}},
            ["get_time", "обязан"],
            ["get_rate"],
        ),
        ({"parallel_tool_calls": False}, ["не больше одной функции"], ["несколько вызовов"]),
        ({"response_format": {"type": "json_object"}}, ["только корректным JSON"], ["Schema"]),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"title": "Курс"}},
                }
            },
            ["только корректным JSON", '{"title":"Курс"}'],
            [],
        ),
    ],
)
def test_wishes_are_told_in_words(fields, words, absent):
    said = prompt(asking(**fields))

    assert [word for word in words if word not in said] == []
    assert [word for word in absent if word in said] == []


def test_json_mode_of_the_vendor_is_off_while_calls_are_possible():
    form = {"type": "json_object"}

    assert "jsonObject" not in sent(asking(response_format=form))
    assert sent(asking(response_format=form, tool_choice="none"))["jsonObject"] is True


def test_stops_of_the_vendor_do_not_cut_calls():
    chat = asking(stop=["}"])
    wrapper = EmulatedTools(ADAPTERS["openai"], chat)

    body = json.loads(wrapper.chat_request(chat, TARGET).body)

    assert "stop" not in body
    assert wrapper.supports("stop") is Support.EMULATED


def test_legacy_functions_are_told_the_same_way():
    chat = {
        "messages": [QUESTION],
        "functions": [GET_RATE["function"]],
        "function_call": {"name": "get_rate"},
    }

    said = prompt(chat)

    assert "Курс валюты" in said
    assert "обязан" in said
    assert "не больше одной" in said


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_history_is_told_in_the_same_form():
    history = [
        QUESTION,
        {"role": "assistant", "content": "Смотрю.", "tool_calls": [call("a", "get_rate", '{"code": "CNY"}')]},
        {"role": "tool", "tool_call_id": "a", "content": '{"rate": 11.270}'},
    ]

    turns = sent(asking(messages=history))["messages"][1:]

    assert turns[1] == {"role": "assistant", "text": f"Смотрю.\n\n{CALL}"}
    assert turns[2] == {
        "role": "user",
        "text": '<tool_result>{"name": "get_rate", "result": {"rate": 11.270}}</tool_result>',
    }


def test_what_was_refused_is_told_before_the_calls():
    called = {"content": None, "refusal": "Юань не дам.", "tool_calls": [call("a", *RATE)]}
    history = [QUESTION, {"role": "assistant", **called}]

    turns = sent(asking(messages=history))["messages"][1:]

    assert turns[1] == {"role": "assistant", "text": f"Юань не дам.\n\n{CALL}"}


def test_results_of_one_turn_travel_in_one_message():
    history = [
        QUESTION,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("a", "get_rate", ""), call("b", "get_time", "{]")],
        },
        {"role": "tool", "tool_call_id": "b", "content": 'полдень, "примерно"'},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "11"}]},
    ]

    turns = sent(asking(messages=history))["messages"][2:]

    assert turns[0]["text"].splitlines() == [
        '<tool_call>{"name": "get_rate", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "get_time", "arguments": "{]"}</tool_call>',
    ]
    assert turns[1]["text"].splitlines() == [
        '<tool_result>{"name": "get_time", "result": "полдень, \\"примерно\\""}</tool_result>',
        '<tool_result>{"name": "get_rate", "result": 11}</tool_result>',
    ]


def test_tool_history_without_tools_is_told_too():
    history = [
        QUESTION,
        {"role": "assistant", "content": None, "function_call": {"name": "get_rate", "arguments": "{}"}},
        {"role": "function", "name": "get_rate", "content": "11"},
    ]

    turns = sent({"messages": history})["messages"]

    assert "Функции сейчас недоступны" in turns[0]["text"]
    assert turns[2]["text"] == '<tool_call>{"name": "get_rate", "arguments": {}}</tool_call>'
    assert turns[3]["text"] == '<tool_result>{"name": "get_rate", "result": 11}</tool_result>'


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "tool_call_id": "nobody", "content": "11"},
        {"role": "function", "name": "f", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
    ],
)
def test_results_that_cannot_be_told_are_refused(message):
    with pytest.raises(Rejected):
        sent(asking(messages=[QUESTION, message]))


# What is read back.


@pytest.mark.parametrize(
    ("said", "text", "calls"),
    [
        ("Просто ответ.", "Просто ответ.", []),
        (CALL, "", [RATE]),
        ("Сейчас узнаю.\n\n" + CALL, "Сейчас узнаю.", [RATE]),
        (CALL + '\n<tool_call>{"name": "get_time", "arguments": {}}</tool_call>', "", [RATE, TIME]),
        (CALL + "\nКурс — 99 рублей.", "", [RATE]),
        (CALL.removesuffix("</tool_call>"), "", [RATE]),
        (CALL.removesuffix("</tool_call>") + "\n" + CALL, "", [RATE, RATE]),
        ('<tool_call>\n{"name": "get_rate",\n "arguments": {"code": "CNY"}}\n</tool_call>\n', "", [RATE]),
        ('<tool_call>```json\n{"name": "get_time"}\n```</tool_call>', "", [TIME]),
        (f"Вот:\n```xml\n{CALL}\n```", "Вот:", [RATE]),
        (f"```\n{CALL}\n```", "", [RATE]),
        ('```json\n{"name": "get_rate", "arguments": {"code": "CNY"}}\n```', "", [RATE]),
        ('```tool_call\n{ "name": "get_time", "arguments": null }\n```', "", [TIME]),
        ('<tool_call>{"name": "get_rate", "arguments": "{\\"code\\": \\"CNY\\"}"}</tool_call>', "", [RATE]),
        ('<tool_call>{"name": "get_time", "arguments": ""}</tool_call>', "", [TIME]),
        ('<tool_call>{"name": "get_rate", "arguments": {"code": "CNY",},}</tool_call>', "", [RATE]),
        (
            '<tool_call>{"name": "get_rate", "arguments": {"code": "a,}", "n": [1, 2, ]}}',
            "",
            [("get_rate", '{"code": "a,}", "n": [1, 2]}')],
        ),
        ('<tool_call>{"name": "get_rate", "parameters": {"code": "CNY"}}</tool_call>', "", [RATE]),
        ('\n[TOOL_CALL_START]get_rate\n{"code": "CNY"}', "", [RATE]),
        (
            '<tool_call>{"name": "get_rate", "arguments": {"code": "}</tool_call>\\"{"}}</tool_call>',
            "",
            [("get_rate", '{"code": "}</tool_call>\\"{"}')],
        ),
        (
            '<tool_call>{"name": "get_rate", "arguments": {"code": "a\nb", "n": 40817810099910004312}}',
            "",
            [("get_rate", '{"code": "a\\nb", "n": 40817810099910004312}')],
        ),
    ],
)
def test_calls_are_found(said, text, calls):
    assert read(said) == (text, calls)
    assert read(*said) == (text, calls)


@pytest.mark.parametrize(
    "said",
    [
        '<tool_call>{"name": "rm_rf", "arguments": {}}</tool_call>',
        "<tool_call>{'name': 'get_rate', 'arguments': {}}</tool_call>",
        '<tool_call>{"name": "get_rate", "arguments": {"code": "CN',
        '<tool_call>{"name": "get_rate", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "get_rate", "arguments": "CNY"}</tool_call>',
        '<tool_call>{"name": "get_rate", "arguments": {"n": NaN}}</tool_call>',
        '<tool_call>{"name": "get_rate", "arguments": {"n": 1e999}}</tool_call>',
        '<tool_call>{"name": "get_rate", "arguments": {"s": "\\ud800"}}</tool_call>',
        '<tool_call>{"name": 1}</tool_call>',
        '<tool_call>{"name": "get_rate", "arguments": ' + '{"a":' * 5000 + "1" + "}" * 5001,
        "[TOOL_CALL_START]rm_rf\n{}",
        "<tool_call>get_rate</tool_call>",
        "<tool_call>",
        "<tool_",
        "a < b, `c`, [d]\n",
        '```json\n{"code": "CNY"}\n```\n',
        '```json\n{"name": "Иван", "arguments": {}}\n```\n',
        '```python\nprint({"name": "get_rate"})\n```',
        "  \n  " * 20,
        "",
    ],
)
def test_what_calls_nothing_on_offer_is_text(said):
    assert read(said) == (said, [])
    assert read(*said) == (said, [])


def test_with_parallel_calls_forbidden_the_first_one_counts():
    assert read(CALL, "\n", CALL, most=1) == ("", [RATE])
    assert read(f"{CALL}\n{CALL}", most=1) == ("", [RATE])


def test_an_endless_call_is_given_out_as_text():
    said = '<tool_call>{"name": "' + "a" * CALL_LIMIT

    assert read(said) == (said, [])


def test_many_calls_in_a_long_answer_are_all_found():
    assert read((CALL + "\n") * 200) == ("", [RATE] * 200)


def test_reading_a_long_call_in_small_pieces_takes_linear_time():
    document = "б" * 200_000
    said = f'<tool_call>{{"name": "get_rate", "arguments": {{"code": "{document}"}}}}</tool_call>'
    reader = CallReader(NAMES)

    for at in range(0, len(said), 3):
        reader.feed(said[at : at + 3])

    assert reader.calls == [("get_rate", f'{{"code": "{document}"}}')]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["Курс ", "юаня"], ["Курс", " юаня"]),
        (["1 <", " 2"], ["1", " < 2"]),
        (["<tool", "box>"], ["", "<toolbox>"]),
        (["см. [1]"], ["см. [1]"]),
    ],
)
def test_only_what_may_begin_a_call_is_held_back(pieces, said):
    reader = CallReader(NAMES)

    assert [reader.feed(piece) for piece in pieces] == said


scraps = st.sampled_from(
    [
        CALL,
        CALL.removesuffix("</tool_call>"),
        "<tool_call>",
        "</tool_call>",
        "<tool_call",
        "```json\n",
        "```",
        '{"name": "get_time"}',
        '{"name"',
        "[TOOL_CALL_START]get_time\n{}",
        "[TOOL_CALL_START]",
        '{"a": "\\"',
        "}",
        "\\",
        " ",
        "\n\n",
        "текст",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(scraps, max_size=12).map("".join), st.lists(st.integers(0, 400), max_size=12))
def test_borders_may_fall_anywhere(said, borders):
    at = [0, *sorted(border % (len(said) + 1) for border in borders), len(said)]

    assert read(*(said[start:end] for start, end in pairwise(at))) == read(said)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.one_of(st.sampled_from('<`[{"}] \n\\tool_call>json'), st.characters()), max_size=200)
)
def test_text_without_calls_is_delivered_unchanged(said):
    assert read(*said) == (said, [])


# The wrapper.


def test_a_whole_answer_becomes_a_call():
    completion = emulated(asking()).chat_completion(UpstreamResponse(200, {}, answer(f"Узнаю.\n{CALL}")))

    assert completion == {
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Узнаю.",
                    "tool_calls": [call("call_1", "get_rate", '{"code": "CNY"}')],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79},
    }


def test_a_whole_answer_without_a_call_stays_as_it_is():
    response = UpstreamResponse(200, {}, answer("11 рублей \n"))

    assert emulated(asking()).chat_completion(response) == YandexGPT().chat_completion(response)


@pytest.mark.parametrize(
    "half", ["<tool_ca", '<tool_call>{"name": "get_rate", "argum', "```json\n<tool_call>{"]
)
def test_the_half_of_a_call_that_its_limit_cut_is_not_shown(half):
    said = answer(f"Сейчас узнаю. {half}", "TRUNCATED_FINAL")

    whole = emulated(asking()).chat_completion(UpstreamResponse(200, {}, said))["choices"][0]
    stream = emulated(asking()).chat_stream()
    choices = [c for chunk in [*stream.feed(said), *stream.end()] for c in chunk["choices"]]

    assert (whole["message"]["content"].strip(), whole["finish_reason"]) == ("Сейчас узнаю.", "length")
    assert "".join(c["delta"].get("content") or "" for c in choices).strip() == "Сейчас узнаю."
    assert choices[-1]["finish_reason"] == "length"


def test_the_half_of_a_document_that_its_limit_cut_is_shown():
    half = '```json\n{"name": "Иван", "rank": "корн'

    choices = streamed(asking(), half, half, status="TRUNCATED_FINAL")
    whole = emulated(asking()).chat_completion(UpstreamResponse(200, {}, answer(half, "TRUNCATED_FINAL")))

    assert whole["choices"][0]["message"]["content"] == half
    assert "".join(c["delta"].get("content", "") for chunk in choices for c in chunk["choices"]) == half


def test_only_what_is_offered_is_called():
    chat = asking(tool_choice={"type": "function", "function": {"name": "get_time"}})

    completion = emulated(chat).chat_completion(UpstreamResponse(200, {}, answer(CALL)))

    assert completion["choices"][0]["message"]["content"] == CALL


def test_a_streamed_call_comes_in_canonical_fragments():
    chunks = streamed(asking(stream=True), "Узнаю", "Узнаю.\n<tool", f"Узнаю.\n{CALL}")

    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    start, rest = {"name": "get_rate", "arguments": ""}, {"arguments": '{"code": "CNY"}'}
    assert [choice["delta"] for choice in choices] == [
        {"content": "Узнаю"},
        {"content": "."},
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": start}]},
        {"tool_calls": [{"index": 0, "function": rest}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["tool_calls"]
    assert chunks[-1] == {
        "choices": [],
        "usage": {"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79},
    }


def test_two_streamed_calls_have_two_indexes():
    chunks = streamed(asking(), CALL, f"{CALL}\n{CALL}")

    calls = [
        c for chunk in chunks for choice in chunk["choices"] for c in choice["delta"].get("tool_calls", [])
    ]
    assert [(c["index"], c.get("id")) for c in calls] == [(0, "call_1"), (0, None), (1, "call_2"), (1, None)]


def test_streamed_text_that_looked_like_a_call_arrives_whole():
    chunks = streamed(
        asking(),
        "Смотрите: <tool",
        "Смотрите: <tool_call> — это метка",
        "Смотрите: <tool_call> — это метка <",
    )

    assert [c["delta"].get("content") for chunk in chunks for c in chunk["choices"]] == [
        "Смотрите:",
        " <tool_call> — это метка",
        " <",
        None,
    ]


def test_without_functions_on_offer_the_stream_is_the_adapters_own():
    chunks = streamed(asking(tool_choice="none"), CALL)

    assert chunks[0]["choices"][0] == {"index": 0, "delta": {"content": CALL}, "finish_reason": "stop"}


def test_a_cut_stream_is_still_cut():
    stream = emulated(asking()).chat_stream()

    list(stream.feed(answer("Курс", "PARTIAL")))

    with pytest.raises(Truncated):
        list(stream.end())


def test_the_stream_is_finished_when_the_vendors_is():
    stream = emulated(asking()).chat_stream()
    before = stream.finished

    list(stream.feed(answer(CALL)))

    assert (before, stream.finished) == (False, True)


def test_what_the_wrapper_does_not_emulate_is_the_adapters_word():
    wrapper = emulated(asking())

    assert {wrapper.supports(name) for name in ("tools", "tool_choice", "parallel_tool_calls")} == {
        Support.EMULATED
    }
    assert wrapper.supports("temperature") is Support.EXACT
    assert wrapper.supports("seed") is Support.DROPPED


def test_everything_else_is_passed_on():
    inner, wrapper = ADAPTERS["yandexgpt"], EmulatedTools(ADAPTERS["yandexgpt"], asking())
    gone = UpstreamResponse(404, {}, b"")

    assert wrapper.models_request(TARGET) == inner.models_request(TARGET)
    assert wrapper.model_names(gone) == []
    assert wrapper.static_authorization({"api_key": "k"}) == "Api-Key k"
    assert type(wrapper.failure(gone)) is type(inner.failure(gone))
