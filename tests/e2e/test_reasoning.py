"""Thoughts over every wire: asked for, told by both of their names, hidden, counted, sent back by agents."""

from typing import Any
from uuid import uuid4

import pytest
from openai import OpenAI

from tests.e2e.installation import Installation, Server, Twins, leaked
from tests.e2e.market import new_client
from tests.e2e.talk import ask, chat, post
from tests.stream_order import told_by

# Wires whose thoughts are told; Yandex's are only counted.
TOLD = ("gigachat", "mts-ai", "gen-t", "openai")
WIRES = (*TOLD, "yandexgpt")
NAMES = ("reasoning", "reasoning_content")
EFFORTS: list[dict[str, Any]] = [
    {"reasoning_effort": "high"},
    {"reasoning": {"effort": "low"}},
    {"reasoning": {"max_tokens": 1000}},
    {"reasoning": {"enabled": True}},
]


@pytest.mark.parametrize("how", EFFORTS, ids=str)
@pytest.mark.parametrize("wire", TOLD)
def test_thoughts_are_told_by_both_names_whole_and_streamed(express: Server, key: str, wire: str, how: Any):
    body = chat(f"thinking/{wire}", "Столица Карелии?", **how)

    whole = post(express, key, body).json()["choices"][0]["message"]
    streamed = told_by(post(express, key, {**body, "stream": True}).content).answer

    assert whole["reasoning"].startswith("Спрашивают: «Столица Карелии?»")
    assert whole["reasoning_content"] == whole["reasoning"] == streamed.reasoning
    assert whole["content"] == streamed.content
    assert whole["content"].startswith("[двойник]")


@pytest.mark.parametrize("wire", WIRES)
def test_thoughts_are_counted_within_the_answer(express: Server, key: str, wire: str):
    body = chat(f"thinking/{wire}", "Столица Карелии?", reasoning_effort="high")

    usage = post(express, key, body).json()["usage"]
    streamed = ask(express, key, {**body, "stream": True, "stream_options": {"include_usage": True}}).usage

    for told in (usage, streamed):
        assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]
        assert told["cost_details"]["usage_source"] == "provider"
        if wire != "gigachat":  # which has no such counter
            assert 0 < told["completion_tokens_details"]["reasoning_tokens"] < told["completion_tokens"]
    assert streamed["completion_tokens"] == usage["completion_tokens"]


@pytest.mark.parametrize("wire", TOLD)
def test_hidden_thoughts_are_thought_and_paid_for(installation: Installation, door: Server, wire: str):
    client = new_client(installation)
    body = chat(f"thinking/{wire}", "Столица Карелии?", reasoning={"effort": "high", "exclude": True})

    whole = post(door, client.key, body).json()
    streamed = post(door, client.key, {**body, "stream": True}).content
    told = post(door, client.key, {**body, "reasoning": {"effort": "high"}}).json()

    message = whole["choices"][0]["message"]
    assert not set(NAMES) & message.keys()
    assert b"reasoning" not in streamed
    assert told_by(streamed).answer.content == message["content"] == told["choices"][0]["message"]["content"]
    # GigaChat remembers prompts: what is met again is free.
    assert whole["usage"]["completion_tokens"] == told["usage"]["completion_tokens"]
    assert len(client.charges()) == 3


@pytest.mark.parametrize("wire", ["gen-t", "openai", "mts-ai"])
@pytest.mark.parametrize("how", [{"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}], ids=str)
def test_a_model_can_be_told_not_to_think(express: Server, key: str, wire: str, how: Any):
    message = post(express, key, chat(f"thinking/{wire}", "Привет", **how)).json()["choices"][0]["message"]

    assert not set(NAMES) & message.keys()


@pytest.mark.parametrize("name", ["reasoning_effort", "reasoning"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_model_that_does_not_think_is_not_told_to(
    express: Server, key: str, twins: Twins, wire: str, name: str
):
    tag = f"{name}-{wire}"
    value = "high" if name == "reasoning_effort" else {"effort": "high"}

    answer = post(express, key, chat(f"slow/{wire}", f"[[tag={tag}]]Привет", **{name: value}))

    assert answer.headers["x-xrouter-dropped"] == name
    [entry] = twins.journal(tag)
    assert not {"reasoning_effort", "chat_template_kwargs"} & set(entry["fields"])


@pytest.mark.parametrize(
    ("how", "param"),
    [
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning": {"effort": "high", "max_tokens": 1000}}, "reasoning.max_tokens"),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "reasoning.effort"),
        ({"reasoning": {"enabled": False, "effort": "high"}}, "reasoning.enabled"),
        ({"reasoning": {"exclude": "да"}}, "reasoning.exclude"),
    ],
)
def test_contradictions_are_refused_by_name(door: Server, key: str, how: Any, param: str):
    heard = ask(door, key, chat("thinking/openai", "Привет", **how))

    assert (heard.status, heard.error["param"]) == (400, param)


@pytest.mark.parametrize("order", ["", "[[think]]"])
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("wire", ["gen-t", "mts-ai"])
def test_thoughts_left_in_the_text_are_taken_out_of_it(
    express: Server, key: str, wire: str, is_streamed: bool, order: str
):
    body = chat(f"thinking/{wire}", f"{order}Привет", reasoning_effort="high", stream=is_streamed)

    answer = post(express, key, body)

    said = told_by(answer.content).answer if is_streamed else None
    message = answer.json()["choices"][0]["message"] if said is None else vars(said)
    assert message["reasoning"].startswith("Спрашивают")
    assert message["content"].startswith("[двойник]")
    assert "think>" not in message["content"] + message["reasoning"]


@pytest.mark.parametrize("kind", ["thinking", "prompted"])
@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_may_be_sent_back_as_it_came_and_no_vendor_hears_its_thoughts(
    sdk: OpenAI, twins: Twins, wire: str, kind: str
):
    question: Any = {"role": "user", "content": "Столица Карелии?"}
    thinker = f"thinking/{wire if wire in TOLD else 'openai'}"
    first = sdk.chat.completions.create(model=thinker, messages=[question], reasoning_effort="high")
    message: Any = first.choices[0].message.model_dump()
    thoughts = f"мысль {uuid4()}"
    message |= {**dict.fromkeys(NAMES, thoughts), "reasoning_details": [{"text": thoughts}]}

    again = sdk.chat.completions.create(
        model=f"{kind}/{wire}", messages=[question, message, {"role": "user", "content": "А Мордовии?"}]
    )

    assert "А Мордовии?" in str(again.choices[0].message.content)
    assert leaked(twins, [thoughts]) == []


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_was_cut_while_it_thought_may_be_sent_back(express: Server, key: str, wire: str):
    question = {"role": "user", "content": "Столица Карелии?"}
    cut = chat("thinking/openai", "Столица Карелии?", reasoning_effort="high", max_tokens=5)
    message = post(express, key, cut).json()["choices"][0]["message"]
    assert (message["content"], bool(message["reasoning"])) == (None, True)

    heard = ask(
        express,
        key,
        {"model": f"slow/{wire}", "messages": [question, message, {**question, "content": "Ну?"}]},
    )

    assert (heard.status, heard.finish) == (200, "stop")


def test_thoughts_of_the_history_cost_nothing(express: Server, key: str):
    plain = [
        {"role": "user", "content": "Привет"},
        {"role": "assistant", "content": "Здравствуйте"},
        {"role": "user", "content": "Как дела?"},
    ]
    thought = {**plain[1], **dict.fromkeys(NAMES, "Думаю. " * 200)}

    costs = [
        post(express, key, {"model": "slow/openai", "messages": [plain[0], said, plain[2]]}).json()["usage"]
        for said in (plain[1], thought)
    ]

    assert costs[0] == costs[1]


@pytest.mark.parametrize("wire", ["gen-t", "openai"])
def test_thoughts_without_a_word_cost_nothing_where_the_model_ended_them(
    installation: Installation, door: Server, wire: str
):
    client = new_client(installation)
    body = chat(f"thinking/{wire}", "[[fault=ok_null_content]]Столица Карелии?", reasoning_effort="high")

    whole = ask(door, client.key, body)
    streamed = told_by(post(door, client.key, {**body, "stream": True}).content).answer

    assert (whole.status, whole.code) == (502, "provider_unavailable")
    assert (streamed.content, streamed.finish) == ("", "stop")
    assert streamed.reasoning
    assert client.charges() == []


def test_another_endpoint_may_find_the_word_after_its_thoughts(express: Server, key: str, twins: Twins):
    twins.order("ok_null_content", family="gen-t")

    heard = ask(express, key, chat("pair/gen-t", "Столица Карелии?"))

    assert (heard.status, heard.provider, heard.attempts) == (200, "b-gen-t", 2)
    assert heard.text.startswith("[двойник]")


def test_thoughts_that_a_limit_cut_are_paid_for(installation: Installation, door: Server):
    client = new_client(installation)
    body = chat("thinking/openai", "Столица Карелии?", reasoning_effort="high", max_tokens=5)

    told = [ask(door, client.key, {**body, "stream": is_streamed}) for is_streamed in (False, True)]

    assert {(heard.status, heard.text, heard.finish) for heard in told} == {(200, "", "length")}
    assert len(client.charges()) == 2
