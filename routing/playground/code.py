"""A request of the playground as a program: the same conversation and parameters, in several languages. Pure.

The key comes from the environment, as in the catalogue.
"""

import json
from pprint import pformat
from textwrap import indent
from typing import Any

from billing.snippets import WRITTEN, Snippet
from routing.pages.snippets import KEY, READ

# What OpenAI's package for Python takes by name; the rest of a body it takes as ``extra_body``.
NAMED = frozenset(
    {
        *("model", "messages", "temperature", "top_p", "max_tokens", "seed", "stop", "reasoning_effort"),
        *("tools", "tool_choice", "response_format"),
    }
)
# How an answer is to come is the program's own affair.
OF_STREAMS = {"stream", "stream_options"}


def programs(base: str, chat: dict[str, Any]) -> list[Snippet]:
    """``base``: the address of the API. ``chat``: any object of JSON."""
    asked = {name: value for name, value in chat.items() if name not in OF_STREAMS}
    written = {"curl": _curl, "python": _python, "node": _node}
    return [Snippet(WRITTEN[name][0], f"code-{name}", code(base, asked)) for name, code in written.items()]


def _curl(base: str, chat: dict[str, Any]) -> str:
    body = _json(chat).replace("'", "'\\''")
    return f"""curl {base}/chat/completions \\
  -H "Authorization: Bearer {KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{body}'"""


def _python(base: str, chat: dict[str, Any]) -> str:
    key, before = READ["python"]
    named = {name: value for name, value in chat.items() if name in NAMED}
    if others := {name: value for name, value in chat.items() if name not in NAMED}:
        named["extra_body"] = others
    arguments = "".join(f"    {name}={_literal(value)},\n" for name, value in named.items())
    return f"""{before}from openai import OpenAI

client = OpenAI(base_url="{base}", api_key={key})
completion = client.chat.completions.create(
{arguments})
print(completion.choices[0].message)"""


def _literal(value: Any) -> str:
    # Lines of a text are one line of a literal, so only lines between literals are moved.
    return indent(pformat(value, width=90, sort_dicts=False), "    ").lstrip()


def _node(base: str, chat: dict[str, Any]) -> str:
    key, _before = READ["node"]
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base}", apiKey: {key} }});
const completion = await client.chat.completions.create({_json(chat)});
console.log(completion.choices[0].message);"""


def _json(chat: dict[str, Any]) -> str:
    return json.dumps(chat, ensure_ascii=False, indent=2)
