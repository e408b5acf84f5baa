"""A request as a program says the same request, and nothing in it becomes code."""

import ast
import inspect
import json
import shlex
from typing import Any

import pytest
from openai.resources.chat.completions import Completions

from routing.playground.code import programs

BASE = "https://xrouter.example/v1"
NASTY = """О'Нил сказал: "да"\\n$(rm -rf /) `id` ${X}; import os\n'''\"\"\" 😀 \u2028 конец"""
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CHAT: dict[str, Any] = {
    "model": "solo/openai",
    "messages": [{"role": "system", "content": NASTY}, {"role": "user", "content": "Привет " * 40}],
    "temperature": 0.7,
    "stop": [NASTY],
    "tools": [TOOL],
    "reasoning_effort": "low",
    "response_format": {"type": "json_object", "strict": None, "is": [True, False]},
    "provider": {"sort": "price"},
}


def program(name: str, chat: dict[str, Any]) -> str:
    return next(each.code for each in programs(BASE, chat) if each.name == f"code-{name}")


def test_curl_sends_it() -> None:
    words = shlex.split(program("curl", CHAT).replace("\\\n", " "))

    assert words[:2] == ["curl", f"{BASE}/chat/completions"]
    assert json.loads(words[words.index("-d") + 1]) == CHAT
    assert "Authorization: Bearer $XROUTER_API_KEY" in words


def test_python_sends_it() -> None:
    [call] = [
        node
        for node in ast.walk(ast.parse(program("python", CHAT)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("completions.create")
    ]

    named = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    others = named.pop("extra_body")
    assert {**named, **others} == CHAT
    assert set(named) <= set(inspect.signature(Completions.create).parameters)


def test_node_sends_it() -> None:
    code = program("node", CHAT)

    said = code.partition("completions.create(")[2].rpartition(");\nconsole")[0]
    assert json.loads(said) == CHAT


@pytest.mark.parametrize("name", ["curl", "python", "node"])
def test_how_the_page_is_answered_is_left_out(name: str) -> None:
    streamed = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}

    assert program(name, streamed) == program(name, CHAT)
    assert "XROUTER_API_KEY" in program(name, CHAT)
