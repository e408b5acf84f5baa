"""Conversations made up by number: the same number makes the same one, on any machine.

Between them they meet all wires, all forms of the API, tools in every manner, histories with several calls,
stop sequences inside pieces, limits, forms of JSON, and vendors that spell oddly, break off or fall silent.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from providers.twins.answers import MARK, SENTENCES

Json = dict[str, Any]

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
WIRES = ("gigachat", "yandexgpt", "mts-ai", "gen-t", "openai")
# What every vendor may do to the bytes of an answer without changing it.
SPELLINGS = (
    *("byte_chunks", "utf8_split", "coalesced", "crlf_split", "crlf", "cr", "no_space", "comments"),
    *("multiline", "bom", "after_done", "empty_choices", "dup_usage", "usage_every_chunk", "no_usage"),
    *("stall_resume.after=1.hold=0.1", "stream_as_json", "json_as_stream"),
)
# What ends an answer, or makes it another one.
BREAKS = (
    *("cut", "reset", "clean_cut", "cut_mid_event", "error_event", "bad_json"),
    *("no_done", "no_final", "empty_stream", "error_event_first", "null_delta", "yandex_rewrite"),
    *("infinite.cap=300", "huge_chunk.kb=40", "blacklist", "bad_utf8", "ok_nul", "ok_surrogate", "http_503"),
)
# After how many pieces.
COUNTED = {"cut", "reset", "clean_cut", "cut_mid_event", "error_event", "bad_json", "yandex_rewrite"}
STALL = "stall"
# Those that leave the words of an answer as they are, as far as they come.
CURTAILING = {"cut", "reset", "clean_cut", "cut_mid_event", "error_event", "bad_json", "no_done", STALL}
WORDS = (
    *(
        "Петрозаводск",
        "ёжик",
        "🦔",
        "погода",
        "курс",
        "валюты",
        "который час",
        "👩‍👩‍👧",
        "й",
        "\n",
        "\n\n",
        "\t",
    ),
    *(
        "— тире —",
        "«ёлочки»",
        '"кавычки"',
        "\\обратная",
        "data: [DONE]",
        ": комментарий",
        "\u2028",
        "<b>",
        "𝄞",
        "é",
    ),
    *("<tool", "<think", "```", "{", "}", "null", "e\u0301", "ﷺ", "日本"),
)
# What a careless model may have said before its call, and would have said next without one.
BEFORE_CALLS = ("функцию. И ещё", "функцию.\n\nИ ещё", "ункцию.\n```js и")
TOOLS: tuple[Json, ...] = (
    {
        "name": "get_weather",
        "description": "Погода в городе",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
    {
        "name": "get_rate",
        "description": "Курс валюты",
        "parameters": {
            "type": "object",
            "properties": {
                "currency": {"type": "string", "enum": ["USD", "EUR", "CNY"]},
                "amounts": {"type": "array", "items": {"type": "number"}},
                "note": {"type": "string", "description": "Примечание с «кавычками» и 🦔"},
            },
            "required": ["currency", "amounts", "note"],
        },
    },
    {"name": "now", "description": "Который час", "parameters": {"type": "object", "properties": {}}},
)
SCHEMA: Json = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}, "steps": {"type": "integer"}},
    "required": ["answer", "sure", "steps"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Conversation:
    """One question, as it is put once for a stream and once for a whole answer."""

    number: int
    path: str
    form: str  # chat, functions or text, as ``stream_order`` knows them
    fields: Json  # what is asked, without a fault
    fault: str = ""
    include_usage: bool = False
    with_trace: bool = False

    @property
    def is_comparable(self) -> bool:
        """Whether the stream has to say what the whole answer says."""
        return not self.fault or self.fault in SPELLINGS

    @property
    def is_curtailed(self) -> bool:
        """Whether the stream may only say less than the whole answer."""
        return self.fault.partition(".")[0] in CURTAILING

    @property
    def streamed(self) -> Json:
        asked = _with_order(self.fields, f"[[fault={self.fault}]]" if self.fault else "")
        options = {"stream_options": {"include_usage": True}} if self.include_usage else {}
        return {**asked, "stream": True, **options}


def conversation(number: int) -> Conversation:
    """The conversation with this number."""
    dice = random.Random(number)
    form = dice.choices(["chat", "functions", "text"], [7, 1, 2])[0]
    fault = dice.choices(["", _spelling(dice), _break(dice), STALL], [60, 22, 17, 1])[0]
    fields = {"model": _model(dice, form, fault), **_ASKING[form](dice), **_manners(dice, form)}
    return Conversation(
        number,
        COMPLETIONS if form == "text" else CHAT,
        form,
        fields,
        fault,
        include_usage=dice.random() < 0.5,
        with_trace=dice.random() < 0.1,
    )


def _model(dice: random.Random, form: str, fault: str) -> str:
    wire = dice.choice(WIRES)
    if fault == STALL:  # of those who are given little time
        return f"solo/{wire}"
    kinds = ["slow"] if form == "text" else ["slow", "slow", "prompted", "thinking"]
    return f"{dice.choice(kinds)}/{wire}"


def _spelling(dice: random.Random) -> str:
    return dice.choice(SPELLINGS)


def _break(dice: random.Random) -> str:
    fault = dice.choice(BREAKS)
    return f"{fault}.after={dice.randint(0, 6)}" if fault in COUNTED else fault


# --- What is said -------------------------------------------------------------------------------------


def _said(dice: random.Random) -> str:
    """A question with orders for the twin. No directive changes what another asks for."""
    words = " ".join(dice.choices(WORDS, k=dice.randint(1, 25)))
    orders = dice.choices(["", "[[echo]]", f"[[tokens={dice.randint(1, 120)}]]", "[[think]]"], [4, 3, 3, 1])[
        0
    ]
    pieces = dice.choice(["", "", f"[[chunks={dice.randint(1, 30)}]]"]) if "tokens" not in orders else ""
    return f"Скажи {words} ещё{orders}{pieces}"


def _asking_chat(dice: random.Random) -> Json:
    tools = dice.sample(TOOLS, dice.choice([0, 0, 1, 1, 2, 3]))
    question = _said(dice) + _calls(dice, tools)
    asked: Json = {"messages": [*_before(dice, tools), {"role": "user", "content": question}]}
    if tools and dice.random() < 0.2:
        asked["messages"] += _called(dice, tools)
    if tools:
        asked["tools"] = [{"type": "function", "function": tool} for tool in tools]
        asked |= _chosen(dice, tools)
    if dice.random() < 0.15:
        asked["response_format"] = dice.choice([{"type": "json_object"}, _by_schema()])
    return asked


def _asking_functions(dice: random.Random) -> Json:
    functions = dice.sample(TOOLS, dice.randint(1, 3))
    question = _said(dice) + _calls(dice, functions)
    messages: list[Json] = [{"role": "user", "content": question}]
    if dice.random() < 0.3:
        call = {"name": functions[0]["name"], "arguments": '{"city": "Казань"}'}
        result = {"role": "function", "name": functions[0]["name"], "content": '{"degrees": 7}'}
        messages = [
            {"role": "user", "content": "Какая погода?"},
            {"role": "assistant", "content": None, "function_call": call},
            result,
            *dice.choice([messages, []]),
        ]
    choice = dice.choice([None, "auto", "none", {"name": functions[0]["name"]}])
    return {"messages": messages, "functions": functions, **({"function_call": choice} if choice else {})}


def _asking_text(dice: random.Random) -> Json:
    asked: Json = {"prompt": _said(dice), "echo": dice.random() < 0.5}
    return asked if dice.random() < 0.2 else {**asked, "max_tokens": dice.randint(1, 200)}


_ASKING: dict[str, Callable[[random.Random], Json]] = {
    "chat": _asking_chat,
    "functions": _asking_functions,
    "text": _asking_text,
}


def _manners(dice: random.Random, form: str) -> Json:
    """Limits, stops and other fields that any question may have."""
    manners: Json = {}
    if form != "text" and dice.random() < 0.3:
        manners[dice.choice(["max_tokens", "max_completion_tokens"])] = dice.randint(1, 80)
    if dice.random() < 0.3:
        manners["stop"] = [_stop(dice) for _ in range(dice.randint(1, 4))]
    if form == "chat" and dice.random() < 0.1:
        manners["logprobs"] = True
    if form == "chat" and dice.random() < 0.3:
        manners["reasoning_effort"] = dice.choice(["low", "high"])
    if dice.random() < 0.2:
        manners["temperature"] = dice.choice([0.1, 0.7, 1])
    return manners


def _stop(dice: random.Random) -> str:
    """A part of what a twin may say, of any length, so that it falls across the borders of pieces."""
    text = dice.choice([*SENTENCES, " ".join(SENTENCES), MARK, *WORDS, *BEFORE_CALLS])
    at = dice.randrange(len(text))
    return text[at : at + dice.randint(1, 12)]


# --- Tools ---------------------------------------------------------------------------------------------


def _calls(dice: random.Random, tools: list[Json]) -> str:
    """Orders to call some of the tools, none, or one of them twice; some in the text, some carelessly."""
    named = dice.choices(tools, k=dice.choice([0, 0, 1, 2, 3])) if tools else []
    manner = dice.choices(["", "[[sloppy]]", "[[hermes]]"], [8, 1, 1])[0]
    return "".join(f"[[call={tool['name']}]]" for tool in named) + manner


def _chosen(dice: random.Random, tools: list[Json]) -> Json:
    named = {"type": "function", "function": {"name": dice.choice(tools)["name"]}}
    choice = dice.choice([None, None, "auto", "none", "required", named])
    one = {"parallel_tool_calls": dice.random() < 0.5} if dice.random() < 0.3 else {}
    return {**one, **({"tool_choice": choice} if choice else {})}


def _before(dice: random.Random, tools: list[Json]) -> list[Json]:
    """What was said before the question."""
    before: list[Json] = []
    if dice.random() < 0.4:
        before.append({"role": dice.choice(["system", "developer"]), "content": "Отвечай кратко."})
    for _ in range(dice.choice([0, 0, 1, 3])):
        before.append({"role": "user", "content": f"Вопрос {dice.random()}"})
        if tools and dice.random() < 0.5:
            before += _called(dice, tools)
        before.append({"role": "assistant", "content": f"Ответ {dice.choice(WORDS)}."})
    return before


def _called(dice: random.Random, tools: list[Json]) -> list[Json]:
    """Several calls in one message, and their results."""
    made = dice.choices(tools, k=dice.randint(1, 3))
    ids = [f"call_{dice.randrange(10**9)}" for _ in made]
    calls = [
        {"id": one, "type": "function", "function": {"name": tool["name"], "arguments": '{"city": "Казань"}'}}
        for one, tool in zip(ids, made, strict=True)
    ]
    results = [{"role": "tool", "tool_call_id": one, "content": '{"degrees": 7}'} for one in ids]
    return [{"role": "assistant", "content": dice.choice([None, "Смотрю."]), "tool_calls": calls}, *results]


def _by_schema() -> Json:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def _with_order(fields: Json, order: str) -> Json:
    """The same question with an order to the twin, in the last thing that a user says."""
    if not order:
        return fields
    if "prompt" in fields:
        return {**fields, "prompt": fields["prompt"] + order}
    messages = list(fields["messages"])
    place = max(at for at, message in enumerate(messages) if message["role"] == "user")
    messages[place] = {**messages[place], "content": messages[place]["content"] + order}
    return {**fields, "messages": messages}
