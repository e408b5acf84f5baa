import pytest

from routing.legacy import has_history, is_legacy, legacy_chunk, legacy_completion, with_tools

RATE = {"name": "get_rate", "parameters": {"type": "object", "properties": {}}}
ASK = {"role": "user", "content": "Курс юаня?"}
CALL = {"name": "get_rate", "arguments": "{}"}


def test_functions_become_tools_and_the_chat_is_not_changed():
    chat = {"messages": [ASK], "functions": [RATE], "function_call": {"name": "get_rate"}, "seed": 1}
    before = repr(chat)

    modern = with_tools(chat)

    assert modern == {
        "messages": [ASK],
        "seed": 1,
        "tools": [{"type": "function", "function": RATE}],
        "tool_choice": {"type": "function", "function": {"name": "get_rate"}},
        "parallel_tool_calls": False,
    }
    assert repr(chat) == before


def test_history_gets_ids_that_tie_results_to_calls():
    messages = [
        ASK,
        {"role": "assistant", "content": None, "function_call": CALL},
        {"role": "function", "name": "get_rate", "content": "11.27"},
    ]

    _, call, result = with_tools({"messages": messages})["messages"]

    assert call["tool_calls"][0]["function"] == CALL
    assert "function_call" not in call
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "11.27"}


def test_a_completion_calls_a_function_as_it_did_before_tools():
    call = {"id": "call_1", "type": "function", "function": CALL}
    choice = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}

    told = legacy_completion({"choices": [choice]})["choices"][0]

    assert told["message"] == {"content": None, "function_call": CALL}
    assert told["finish_reason"] == "function_call"


def test_chunks_tell_of_the_first_call_only():
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {**first, "index": 1}

    told = legacy_chunk(
        {"choices": [{"index": 0, "delta": {"tool_calls": [first, second]}, "finish_reason": None}]}
    )
    end = legacy_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})

    assert told["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": ""}}
    assert end["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("chat", "legacy", "history"),
    [
        ({"messages": [ASK]}, False, False),
        ({"messages": [ASK], "functions": [RATE]}, True, False),
        ({"messages": [ASK], "functions": [RATE], "tools": [{}]}, False, False),
        ({"messages": [ASK, {"role": "function", "name": "f", "content": "1"}]}, False, True),
    ],
)
def test_only_chats_in_the_old_form_are_rewritten(chat, legacy, history):
    assert is_legacy(chat) is legacy
    assert has_history(chat) is history
