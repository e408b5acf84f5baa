"""The customer's request: bytes -> chat, or a BadRequest that names the field. Pure.

The chat returned is the dict that was decoded: fields we do not know stay in it. Nothing of a prompt
gets into an error.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations, islice
from typing import Any

import msgspec
import orjson

from accounts.misfit import misfit
from providers.wire import Chat
from routing.allowed import allowed_names
from routing.errors import BadRequest, TooManyBytes
from routing.links import is_file, is_image
from routing.meter import THOUGHTS
from routing.shape import ChatRequest
from routing.tool_schemas import functions_take_schemas

MAX_BYTES = 2 * 1024 * 1024
# In longer bodies a flaw is told by its position, or by the field of the request that it is in: looking for
# the very place takes milliseconds per 10 kB.
MAX_EXPLAINED = 64 * 1024
MAX_DEPTH = 64  # lists and objects inside one another; a tool's schema rarely has a dozen

MAX_LINKS = 250  # images and files
# What a request may be made of, so that no two megabytes of crumbs keep everybody else waiting for a tenth of
# a second: fields of its own, parts of messages and calls of functions, bytes of the schemas it brings.
MAX_FIELDS = 250
MAX_PARTS = 10_000
MAX_SCHEMAS = 256 * 1024

# Type of a part -> its member with a link, the rule for it, what may stand there beside an address.
_LINKS: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "image_url": ("url", is_image, "изображение data:image/…;base64"),
    "file": ("file_data", is_file, "файл в base64"),
}
_CONTAINERS = (dict, list)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_LONGEST_PATH = 200
_FORM = re.compile(rb"[\w.%\[\]-]{1,64}=")  # how a form begins, and no JSON
# Comparing names is quadratic in their length: this much is enough to find a slip of the pen.
_LONGEST_NAME = 64
_MOST_NAMES = 500
_NUL_IS_BAD = "символ с кодом 0 недопустим"


def read_chat(body: bytes) -> Chat:
    """The chat in ``body``. Raises TooManyBytes or BadRequest.

    ``prompt`` becomes a user message: then, and only then, the chat is a new dict.
    """
    chat = _with_messages(read_as(ChatRequest, body))
    # Clients send it, and ask for nothing by it; hosts refuse it where no probabilities are asked for.
    if chat.get("top_logprobs") == 0 and not chat.get("logprobs"):
        del chat["top_logprobs"]
    checked(chat)
    if len(body) > MAX_SCHEMAS:  # a shorter one cannot have more
        _schemas_are_short(chat)
    functions_take_schemas(chat, len(body))
    return chat


def read_as(shape: type[msgspec.Struct], body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``, whose known fields are of the declared ``shape``."""
    return fitting(shape, read_object(body))


def fitting(shape: type[msgspec.Struct], decoded: dict[str, Any]) -> dict[str, Any]:
    """``decoded`` itself, whose known fields are of the declared ``shape``. Raises BadRequest."""
    try:
        msgspec.convert(decoded, shape)
    except msgspec.ValidationError as exc:
        found = misfit(shape, decoded, exc)
        raise BadRequest(found.said, param=found.field) from None
    return decoded


def checked(chat: Chat) -> Chat:
    """``chat`` itself. Raises BadRequest for fields of the right form that do not fit together."""
    for rule in _RULES:
        rule(chat)
    return chat


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``, not nested beyond reason and free of what no database takes."""
    if len(body) > MAX_BYTES:
        raise TooManyBytes(MAX_BYTES)
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable(body, exc.pos) from None
    if not isinstance(decoded, dict):
        raise BadRequest("Тело запроса должно быть объектом JSON.")
    if len(decoded) > MAX_FIELDS:
        raise BadRequest(f"Тело запроса: допускается не больше {MAX_FIELDS} полей.")
    if _is_deep(decoded):
        raise _too_deep()
    if _has_nul(body):
        named = _flaw(decoded) if len(body) <= MAX_EXPLAINED else _field_with_nul(decoded)
        raise named or BadRequest(f"Тело запроса: {_NUL_IS_BAD}.")
    return decoded


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three of the ``known`` names that look like ``name``, the likeliest first."""
    by_look = {_look(model): model for model in islice(known, _MOST_NAMES)}
    return [by_look[look] for look in difflib.get_close_matches(_look(name), by_look, n=3, cutoff=0.6)]


# Between bytes and JSON.


def _unreadable(body: bytes, position: int) -> BadRequest:
    """Why ``body`` is no JSON, with the field at fault where a laxer parser can tell it."""
    hint = " Похоже на поля формы: нужен JSON, Content-Type: application/json." if _FORM.match(body) else ""
    general = BadRequest(f"Тело запроса не является правильным JSON: ошибка в позиции {position}.{hint}")
    try:
        text = body.decode()
        decoded = json.loads(text[:MAX_EXPLAINED], parse_int=float, parse_constant=float)
    except UnicodeDecodeError:
        return BadRequest("Тело запроса должно быть в кодировке UTF-8.")
    except RecursionError:
        return _too_deep()
    except ValueError:
        return general
    return _too_deep() if _is_deep(decoded) else _flaw(decoded) or general


def _too_deep() -> BadRequest:
    return BadRequest(f"Вложенность тела запроса слишком велика: допускается {MAX_DEPTH} уровня.")


def _is_deep(decoded: Any) -> bool:
    """Level by level, so that no nesting exhausts the stack."""
    level = [decoded] if isinstance(decoded, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for outer in level
            for child in (outer.values() if isinstance(outer, dict) else outer)
            if child and isinstance(child, _CONTAINERS)
        ]
        if not level:
            return False
    return True


def _has_nul(body: bytes) -> bool:
    """Is there an escaped NUL in this JSON? Raw ones are no JSON."""
    # From the cheap to the dear: most bodies have no backslash. An escaped backslash before "u0000" is text.
    return b"\\" in body and b"\\u0000" in body and b"\\u0000" in body.replace(b"\\\\", b"")


def _field_with_nul(decoded: Chat) -> BadRequest | None:
    for name, value in decoded.items():
        if _PLAIN_KEY.fullmatch(name) and _has_nul(orjson.dumps(value)):
            return BadRequest(f"Поле {name}: {_NUL_IS_BAD}.", param=name)
    return None


def _flaw(decoded: Any) -> BadRequest | None:
    """The first value or key that may not be there. Not for deep nesting."""
    for path, value in _leaves(decoded, ""):
        why = _why_not(value)
        if why:
            param = path.lstrip(".")[:_LONGEST_PATH]
            return BadRequest(f"Поле {param}: {why}.", param=param)
    return None


def _why_not(value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else "число слишком велико или не является числом"
    if isinstance(value, str) and "\0" in value:
        return _NUL_IS_BAD
    if isinstance(value, str) and _SURROGATE.search(value):
        return "половина суррогатной пары Unicode недопустима"
    return None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value that is no container, and every key, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            # A key of the customer's making may hold anything: only plain names are repeated.
            place = f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[...]"
            yield place, key
            yield from _leaves(inner, place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


# Between fields.


def _with_messages(chat: Chat) -> Chat:
    has_messages, prompt = chat.get("messages") is not None, chat.get("prompt")
    if has_messages and prompt is not None:
        raise BadRequest("Нужно одно из полей messages и prompt, а не оба.", param="prompt")
    if has_messages:
        return chat
    if prompt is None:
        raise BadRequest("Нет обязательного поля messages (или prompt).", param="messages")
    rest = {name: value for name, value in chat.items() if name != "prompt"}
    return {**rest, "messages": [{"role": "user", "content": prompt}]}


def _names_a_model(chat: Chat) -> None:
    if chat.get("model") is None and not chat.get("models"):
        raise BadRequest("Нет обязательного поля model.", param="model")


def _asks_one_answer(chat: Chat) -> None:
    for field in ("n", "best_of"):
        if (chat.get(field) or 1) > 1:
            raise BadRequest(
                f"Поле {field}: за один запрос даётся один ответ; "
                "для нескольких отправьте несколько запросов.",
                param=field,
            )


def _stream_options_have_a_stream(chat: Chat) -> None:
    if chat.get("stream_options") is not None and not chat.get("stream"):
        raise BadRequest("Поле stream_options допустимо только со stream: true.", param="stream_options")


def _top_logprobs_have_logprobs(chat: Chat) -> None:
    if chat.get("top_logprobs") is not None and not chat.get("logprobs"):
        raise BadRequest("Поле top_logprobs допустимо только вместе с logprobs: true.", param="top_logprobs")


def _reasoning_agrees_with_itself(chat: Chat) -> None:
    asked = chat.get("reasoning") or {}
    named = {
        "reasoning_effort": chat.get("reasoning_effort"),
        "reasoning.effort": asked.get("effort"),
        "reasoning.max_tokens": asked.get("max_tokens"),
        "reasoning.enabled": asked.get("enabled"),
    }
    levels = {name: _level(name, value) for name, value in named.items() if value is not None}
    # Each pair that has to agree; the second is the one to blame.
    for one, other in combinations(levels, 2):
        if not _agree(levels[one], levels[other]):
            raise BadRequest(f"Поля {one} и {other} противоречат друг другу: оставьте одно.", param=other)


def _level(name: str, value: Any) -> str:
    """How much is to be thought: a word of OpenAI's, "some" for whatever is not nothing, "budget"."""
    if name == "reasoning.max_tokens":
        return "budget"
    return str(value) if isinstance(value, str) else "some" if value else "none"


def _agree(one: str, other: str) -> bool:
    return one == other or ("some" in (one, other) and "none" not in (one, other))


def _tool_choice_is_offered(chat: Chat) -> None:
    choice, tools = chat.get("tool_choice"), chat.get("tools") or []
    if choice == "required" and not tools:
        raise BadRequest("Поле tool_choice: для required нужен непустой массив tools.", param="tool_choice")
    if not isinstance(choice, dict):
        return
    offered = {tool["function"]["name"] for tool in tools}
    for field, name in _chosen(chat, choice):
        if name not in offered:
            raise BadRequest(f"Поле {field}: такой функции нет в массиве tools.", param=field)


def _chosen(chat: Chat, choice: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each function that ``choice`` names, and where."""
    if (names := allowed_names(chat)) is None:
        return [("tool_choice.function.name", choice["function"]["name"])]
    place = "tool_choice.allowed_tools.tools[{}].function.name"
    return [(place.format(index), name) for index, name in enumerate(names)]


def _function_call_is_offered(chat: Chat) -> None:
    choice = chat.get("function_call")
    if not isinstance(choice, dict):
        return
    if not any(function["name"] == choice["name"] for function in chat.get("functions") or ()):
        raise BadRequest(
            "Поле function_call.name: такой функции нет в массиве functions.", param="function_call.name"
        )


def _assistants_say_or_call(chat: Chat) -> None:
    for index, message in enumerate(chat["messages"]):
        mute = message.get("content") is None and message["role"] == "assistant"
        if mute and not _speaks_otherwise(message):
            field = f"messages[{index}].content"
            raise BadRequest(f"Поле {field}: здесь без вызова функций нужен текст.", param=field)


def _parts_are_few(chat: Chat) -> None:
    count = 0
    for message in chat["messages"]:
        content, calls = message.get("content"), message.get("tool_calls")
        count += (len(content) if isinstance(content, list) else 0) + len(calls or ())
    if count > MAX_PARTS:
        raise BadRequest(
            f"Поле messages: допускается не больше {MAX_PARTS} частей сообщений и вызовов функций.",
            param="messages",
        )


def _schemas_are_short(chat: Chat) -> None:
    for field in ("tools", "functions", "response_format"):
        if chat.get(field) and len(orjson.dumps(chat[field])) > MAX_SCHEMAS:
            raise BadRequest(f"Поле {field}: допускается не больше {MAX_SCHEMAS // 1024} КиБ.", param=field)


def _links_are_public(chat: Chat) -> None:
    for count, (field, link, is_fit, other) in enumerate(_links(chat["messages"]), 1):
        if count > MAX_LINKS:
            raise BadRequest(
                f"Поле messages: допускается не больше {MAX_LINKS} изображений и файлов.", param="messages"
            )
        if not is_fit(link):
            raise BadRequest(
                f"Поле {field}: допускается {other} или общедоступный адрес https:// без порта и пароля.",
                param=field,
            )


def _links(messages: list[dict[str, Any]]) -> Iterator[tuple[str, str, Callable[[str], bool], str]]:
    """Where a link stands, the link, the rule for it and what else may stand there."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content) if isinstance(content, list) else ():
            if part["type"] in _LINKS:
                member, is_fit, other = _LINKS[part["type"]]
                link = part[part["type"]].get(member) or ""
                yield f"messages[{index}].content[{place}].{part['type']}.{member}", link, is_fit, other


def _somebody_says_something(chat: Chat) -> None:
    if not any(_says_something(message) for message in chat["messages"]):
        raise BadRequest("Поле messages: все сообщения пусты.", param="messages")


def _says_something(message: dict[str, Any]) -> bool:
    content = message.get("content")
    if isinstance(content, list):
        return any(part.get("text") != "" for part in content)
    return bool(content) or _speaks_otherwise(message)


def _speaks_otherwise(message: dict[str, Any]) -> bool:
    """By a call, a refusal, or thoughts alone: an answer of ours that its limit cut before the first word."""
    return any(message.get(name) for name in ("tool_calls", "function_call", "refusal", *THOUGHTS))


_RULES: tuple[Callable[[Chat], None], ...] = (
    _names_a_model,
    _asks_one_answer,
    _stream_options_have_a_stream,
    _top_logprobs_have_logprobs,
    _reasoning_agrees_with_itself,
    _tool_choice_is_offered,
    _function_call_is_offered,
    _assistants_say_or_call,
    _parts_are_few,
    _links_are_public,
    _somebody_says_something,
)


def _look(name: str) -> str:
    return name[:_LONGEST_NAME].casefold()
