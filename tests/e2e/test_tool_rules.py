"""What requests say of calls, kept to over every wire: choices, one call at a time, histories, forms."""

import json
from typing import Any

import pytest

from tests.e2e.installation import Installation, Server, Twins
from tests.e2e.market import new_client
from tests.e2e.talk import ask, chat, post
from tests.stream_order import told_by

WIRES = ("gigachat", "yandexgpt", "mts-ai", "gen-t", "openai")
MODELS = [f"{kind}/{wire}" for kind in ("slow", "prompted") for wire in WIRES]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = {"get_weather": "Погода в городе", "get_time": "Местное время в городе"}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": said, "parameters": CITY}}
    for name, said in FUNCTIONS.items()
]
BOTH = "[[call=get_weather]][[call=get_time]]В Казани?"
NAMED = {"type": "function", "function": {"name": "get_time"}}


def allowed(mode: str, *tools: Any) -> Any:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


def calls(server: Server, key: str, body: Any) -> list[tuple[str, str, str]]:
    """Ids, names and arguments of the calls in the answer to ``body``, streamed or not."""
    answer = post(server, key, body)
    assert answer.status_code == 200, answer.text
    if body.get("stream"):
        said = told_by(answer.content).answer
        return [(call.id, call.name, call.arguments) for call in said.calls]
    message = answer.json()["choices"][0]["message"]
    made = message.get("tool_calls", ())
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in made]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_one_call_is_told_where_one_is_allowed(door: Server, key: str, model: str, is_streamed: bool):
    body = chat(model, f"[[greedy]]{BOTH}", tools=TOOLS, parallel_tool_calls=False, stream=is_streamed)

    made = calls(door, key, body)

    assert [(name, json.loads(arguments)) for _, name, arguments in made] == [
        ("get_weather", {"city": "Казань"})
    ]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", [model for model in MODELS if model != "slow/gigachat"])
def test_several_calls_have_ids_of_their_own(express: Server, key: str, model: str, is_streamed: bool):
    made = calls(express, key, chat(model, BOTH, tools=TOOLS, stream=is_streamed))

    assert [name for _, name, _ in made] == list(FUNCTIONS)
    assert len({number for number, _, _ in made}) == 2


@pytest.mark.parametrize("model", MODELS)
def test_several_calls_of_one_turn_may_stand_in_the_history(express: Server, key: str, model: str):
    function = {"name": "get_weather", "arguments": '{"city": "Казань"}'}
    other = {"name": "get_time", "arguments": "{}"}
    turn = [{"id": f"call_{n}", "type": "function", "function": f} for n, f in enumerate((function, other))]
    history = [
        {"role": "user", "content": "Погода и время в Казани?"},
        {"role": "assistant", "content": None, "tool_calls": turn},
        {"role": "tool", "tool_call_id": "call_1", "content": "полдень"},
        {"role": "tool", "tool_call_id": "call_0", "content": '{"degrees": 7}'},
    ]

    answer = post(express, key, {"model": model, "messages": history, "tools": TOOLS})

    assert answer.status_code == 200, answer.text
    message = answer.json()["choices"][0]["message"]
    assert message["content"].startswith("[двойник]")
    assert "tool_calls" not in message


@pytest.mark.parametrize("model", MODELS)
def test_functions_may_have_returned_nothing(express: Server, key: str, model: str):
    turn = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for n, name in enumerate(FUNCTIONS)
    ]
    history = [
        {"role": "user", "content": "Погода и время в Казани?"},
        {"role": "assistant", "content": None, "tool_calls": turn},
        {"role": "tool", "tool_call_id": "call_0", "content": None},
        {"role": "tool", "tool_call_id": "call_1", "content": []},
    ]
    nothing = {"models": [], "top_logprobs": 0}

    answer = post(express, key, {"model": model, "messages": history, "tools": TOOLS, **nothing})

    assert answer.status_code == 200, answer.text
    assert "top_logprobs" not in answer.headers.get("x-xrouter-dropped", "")


@pytest.mark.parametrize(
    "said",
    [
        {"content": None, "refusal": "Нет."},
        {"content": [{"type": "refusal", "refusal": "Нет."}]},
        {"content": [], "refusal": "Нет."},
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_refusal_may_stand_in_the_history(express: Server, key: str, model: str, said: Any):
    history = [{"role": "user", "content": "А"}, {"role": "assistant", **said}]

    answer = post(express, key, {"model": model, "messages": [*history, {"role": "user", "content": "Б"}]})

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather"]),
        (NAMED, ["get_time"]),
        (allowed("auto", NAMED), []),
        (allowed("required", NAMED), ["get_time"]),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_choice_is_made(
    express: Server, key: str, model: str, is_streamed: bool, choice: Any, names: list[str]
):
    made = calls(
        express, key, chat(model, "Столица Карелии?", tools=TOOLS, tool_choice=choice, stream=is_streamed)
    )

    assert [name for _, name, _ in made] == names


@pytest.mark.parametrize("choice", ["required", NAMED])
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_words_where_a_call_is_due_are_not_an_answer_and_cost_nothing(
    installation: Installation, door: Server, model: str, is_streamed: bool, choice: Any
):
    client = new_client(installation)
    body = chat(model, "[[stubborn]]Столица Карелии?", tools=TOOLS, tool_choice=choice, stream=is_streamed)

    heard = ask(door, client.key, body)

    assert (heard.status, heard.code) == (502, "no_tool_call")
    assert "tool_choice" in heard.error["message"]
    assert client.charges() == []


def test_another_endpoint_may_call(door: Server, key: str, twins: Twins, others: Twins):
    body = chat("pair/openai", "[[stubborn]][[tag=uncalled]]Привет", tools=TOOLS, tool_choice="required")

    heard = ask(door, key, body)

    assert (heard.status, heard.code) == (502, "no_tool_call")
    assert twins.journal("uncalled")
    assert others.journal("uncalled")


def test_who_thinks_aloud_and_does_not_call_ends_in_an_error(express: Server, key: str):
    body = chat(
        "thinking/openai",
        "[[stubborn]]Столица Карелии?",
        tools=TOOLS,
        tool_choice="required",
        reasoning_effort="high",
        stream=True,
    )

    told = told_by(post(express, key, body).content)

    assert told.answer.reasoning.startswith("Спрашивают")
    assert (told.answer.content, told.answer.finish) == ("", "error")
    assert told.error["metadata"]["error_type"] == "no_tool_call"


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_stop_does_not_cut_a_call_that_is_made_in_the_text(
    express: Server, key: str, wire: str, is_streamed: bool
):
    body = chat(f"prompted/{wire}", BOTH, tools=TOOLS, stop=["}", "city"], stream=is_streamed)

    assert [name for _, name, _ in calls(express, key, body)] == list(FUNCTIONS)


def test_an_answer_that_its_limit_cut_before_the_call_is_told(express: Server, key: str):
    body = chat("prompted/openai", BOTH, tools=TOOLS, tool_choice="required", max_tokens=3)

    heard = ask(express, key, body)

    assert (heard.status, heard.finish) == (200, "length")


@pytest.mark.parametrize(("count", "is_lost"), [(1, False), (2, True)])
def test_gigachat_cannot_be_made_to_call_any_of_several(door: Server, key: str, count: int, is_lost: bool):
    body = chat("slow/gigachat", "Привет", tools=TOOLS[:count], tool_choice="required")
    strict = {**body, "provider": {"require_parameters": True}}

    wished, demanded = post(door, key, body), post(door, key, strict)

    assert wished.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert ("tool_choice" in wished.headers.get("x-xrouter-dropped", "")) is is_lost
    assert demanded.status_code == (503 if is_lost else 200)
    if is_lost:
        [reason] = demanded.json()["error"]["metadata"]["reasons"]
        assert reason == "slow-gigachat: не поддерживает tool_choice"


# The form of an answer where the vendor does not keep to it -----------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_object_is_given_where_json_is_asked_for(
    express: Server, key: str, model: str, with_tools: bool, is_streamed: bool
):
    fields = {"tools": TOOLS} if with_tools else {}
    form = {"type": "json_object"}

    heard = ask(
        express, key, chat(model, "Столица Карелии?", response_format=form, stream=is_streamed, **fields)
    )

    assert (heard.status, heard.finish) == (200, "stop")
    assert json.loads(heard.text) == {"twin": True, "answer": "Столица Карелии?"}
    assert "response_format" not in heard.headers.get("x-xrouter-dropped", "")


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", ["slow/gigachat", "slow/mts-ai"])
def test_a_function_may_be_called_instead_of_json(express: Server, key: str, model: str, is_streamed: bool):
    form = {"type": "json_object"}

    made = calls(
        express,
        key,
        chat(model, "Погода в Казани?", tools=TOOLS, response_format=form, stream=is_streamed),
    )

    assert [name for _, name, _ in made] == ["get_weather"]


@pytest.mark.parametrize("model", MODELS)
def test_more_than_one_answer_is_refused_and_says_why(door: Server, key: str, model: str):
    heard = ask(door, key, chat(model, "Привет", n=2))

    assert (heard.status, heard.code) == (400, "invalid_request")
    assert heard.error["param"] == "n"


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_ends_at_the_stop_wherever_pieces_end(
    express: Server, key: str, model: str, is_streamed: bool
):
    said = "[[echo]][[chunks=9]]один, два, СТОП ДА, три"

    heard = ask(express, key, chat(model, said, stop=["СТОП ДА", "никогда"], stream=is_streamed))

    assert (heard.text, heard.finish) == ("один, два, ", "stop")
