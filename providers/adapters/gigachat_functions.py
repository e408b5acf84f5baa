"""OpenAI's tools and GigaChat's functions: names, descriptions, choice, arguments. Pure.

Names travel by an encoding that needs no memory, since an answer is read without its request.
What GigaChat takes goes as it is; all else becomes ``fn.`` and the name with every byte outside
``A-Z a-z 0-9 _ -`` as a dot and two hexadecimal digits: ``web_search`` is ``fn.web_search``,
``2fa`` is ``fn.2fa``, ``a b`` is ``fn.a.20b``, ``fn.x`` is ``fn.fn.2ex``.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from providers.adapters.base import NewId
from providers.adapters.gigachat_schema import parameters
from providers.errors import Broken, Rejected
from providers.tool_calls import ToolCall, tool_call
from providers.wire import Chat

ENCODED = "fn."
TAKEN_AS_IS = re.compile(r"(?!fn\.)[A-Za-z_.-][A-Za-z0-9_.-]*")
# The vendor's built-in functions: a customer's function of this name would be taken for them.
RESERVED = frozenset({"web_search", "text2image", "text2model3d"})

# Parts of a function's description that have the same name and meaning at both ends.
DESCRIBED = ("description", "few_shot_examples")

NO_FUNCTION = "GigaChat принимает только инструменты типа function с непустым именем."
UNKNOWN_CHOICE = "В tool_choice названа функция, которой нет в tools."


def functions(chat: Chat) -> dict[str, Any]:
    """``functions`` and ``function_call`` of a request; empty if ``chat`` offers no tools.

    Takes ``tools`` and the older ``functions``. Raises Rejected for what GigaChat has no words for.
    """
    offered = [_described(f) for f in _offered(chat)]
    if not offered:
        return {}
    choice = chat.get("tool_choice") or chat.get("function_call") or "auto"
    return {"functions": offered, "function_call": _function_call(choice, [f["name"] for f in offered])}


def tool_call_in(message: dict[str, Any], new_id: NewId) -> ToolCall | None:
    """The call in an answer's message or delta, as OpenAI words it; None if there is none."""
    call = message.get("function_call")
    if not call:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise Broken(detail="a function call that cannot be read")
    return tool_call(new_id(), customer_name(call["name"]), _arguments_text(call.get("arguments")))


def vendor_name(name: str) -> str:
    """A function's name as GigaChat takes it; ``customer_name`` is the way back."""
    if TAKEN_AS_IS.fullmatch(name) and name not in RESERVED:
        return name
    escaped = re.sub(rb"[^A-Za-z0-9_-]", lambda m: b".%02x" % m[0][0], name.encode(errors="replace"))
    return ENCODED + escaped.decode()


def customer_name(name: str) -> str:
    """The customer's name of the function GigaChat calls."""
    if not name.startswith(ENCODED):
        return name
    escaped = name.removeprefix(ENCODED).encode(errors="replace")
    plain = re.sub(rb"\.([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), escaped)
    return plain.decode(errors="replace")


def result_document(text: str) -> str:
    """A function's result as the JSON object, in a string, that GigaChat wants: anything else is a 422."""
    result = _loads(text)
    return text if isinstance(result, dict) else orjson.dumps({"result": result}).decode()


def _loads(text: Any) -> Any:
    """The JSON in ``text``, or ``text`` where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _arguments_text(arguments: Any) -> str:
    # The newest specification calls them a string; the wire has only ever shown an object.
    if isinstance(arguments, str):
        return arguments or "{}"
    try:
        return orjson.dumps(arguments or {}).decode()
    except orjson.JSONEncodeError as exc:
        raise Broken(detail="arguments nested too deep") from exc


def _offered(chat: Chat) -> Iterable[Any]:
    """The descriptions of functions, out of their wrapping."""
    for tool in chat.get("tools") or ():
        if tool.get("type", "function") != "function":
            raise Rejected(NO_FUNCTION)
        yield tool.get("function")
    yield from chat.get("functions") or ()


def _described(function: Any) -> dict[str, Any]:
    if not isinstance(function, dict) or not function.get("name"):
        raise Rejected(NO_FUNCTION)
    described = {key: function[key] for key in DESCRIBED if function.get(key) is not None}
    if returned := function.get("return_parameters"):
        described["return_parameters"] = parameters(returned)
    name = vendor_name(function["name"])
    return {"name": name, **described, "parameters": parameters(function.get("parameters") or {})}


def _function_call(choice: Any, names: list[str]) -> str | dict[str, str]:
    # Said even where it is the default: the vendor's documents disagree about what that is.
    if choice == "required" and len(names) == 1:
        return {"name": names[0]}
    if isinstance(choice, str):  # of several functions none can be required: ``prompting.urged`` asks for one
        return "none" if choice == "none" else "auto"
    name = vendor_name(_chosen_name(choice))
    if name not in names:
        raise Rejected(UNKNOWN_CHOICE)
    return {"name": name}


def _chosen_name(choice: dict[str, Any]) -> str:
    name = (choice.get("function") or choice).get("name")
    if not isinstance(name, str):
        raise Rejected(UNKNOWN_CHOICE)
    return name
