"""What a request asks of an endpoint: read off the chat once, without a word of what it says. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from providers.prompting import form_of, requires_any
from providers.reasoning import effort_of
from providers.wire import Chat, Support, Texts
from routing.meter import Size
from routing.shape import ChatRequest

# What becomes of the fields that are ours, whoever answers: no vendor is missed by them, and those that are
# dropped change nothing that is said.
OWN: Mapping[str, Support] = {
    **dict.fromkeys(("model", "models", "messages", "prompt", "stream", "stream_options"), Support.EXACT),
    **dict.fromkeys(("provider", "session_id", "usage", "user"), Support.EXACT),
    # Above 1: see docs/decisions/n.md.
    **dict.fromkeys(("n", "best_of"), Support.REFUSED),
    **dict.fromkeys(("route", "transforms", "metadata", "store"), Support.DROPPED),
    **dict.fromkeys(("safety_identifier", "service_tier", "prompt_cache_key"), Support.DROPPED),
    **dict.fromkeys(("prompt_cache_options", "prompt_cache_retention"), Support.DROPPED),
}
UNHEARD = frozenset(name for name, support in OWN.items() if support is Support.DROPPED)
VENDOR_FIELDS = frozenset(ChatRequest.__struct_fields__) - OWN.keys()
# Values by which a field asks for what is done without it.
NEUTRAL: Mapping[str, Any] = {
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "top_k", "min_p"), 0),
    **dict.fromkeys(("top_p", "repetition_penalty"), 1),
    "logit_bias": {},
    "reasoning": {},
    "modalities": ["text"],
    "verbosity": "medium",
}
THOUGHT = frozenset(("reasoning", "reasoning_effort"))
# Fields by which an answer is drawn: they go into the record of a generation.
SAMPLING = ("temperature", "top_p", "repetition_penalty")
# Fields of a request for vectors that vendors are told.
TEXT_FIELDS = ("dimensions", "encoding_format", "input_type")
# The answer a customer gets in all likelihood, in tokens, where he names no shorter one.
USUAL_ANSWER = 300


class Needs(Struct, frozen=True):
    """How much a request says, and what it cannot do without."""

    size: Size
    limit: int | None = None  # the longest answer wanted, in tokens
    fields: tuple[str, ...] = ()  # known fields that vendors are told, in the request's order
    calls_tools: bool = False  # functions are offered
    has_images: bool = False
    form: str = ""  # json_object or json_schema
    is_streamed: bool = False
    unheard: tuple[str, ...] = ()  # known fields that nobody does anything with
    resizes: bool = False  # vectors are to have another width than the model's own
    calls_any: bool = False  # one of several functions has to be called
    is_thoughtless: bool = False  # no thoughts are wanted, which a model without any has to offer

    @property
    def answer(self) -> int:
        """Tokens of the answer, in all likelihood."""
        limit = self.limit
        return USUAL_ANSWER if limit is None or limit > USUAL_ANSWER else limit


def needs_of(chat: Chat, size: Size) -> Needs:
    """What ``chat``, of which ``size`` was measured, needs. Null, false and an empty list ask for nothing,
    nor does a value of NEUTRAL.
    """
    fields, unheard = [], []
    for name, value in chat.items():
        if name in VENDOR_FIELDS:
            if not asks_for_nothing(name, value):
                fields.append(name)
        elif value and name in UNHEARD:
            unheard.append(name)
    return Needs(
        size=size,
        limit=_limit(chat),
        fields=tuple(fields),
        unheard=tuple(unheard),
        calls_tools=bool(chat.get("tools") or chat.get("functions")),
        has_images=bool(size.images),
        form=form_of(chat),
        calls_any=requires_any(chat),
        is_thoughtless=effort_of(chat) == "none",
        is_streamed=bool(chat.get("stream")),
    )


def asks_for_nothing(name: str, value: Any) -> bool:
    """Whether the field might as well be absent. An empty object is a wish where NEUTRAL has it not."""
    return value is None or value is False or value == [] or (name in NEUTRAL and value == NEUTRAL[name])


def _limit(chat: Chat) -> int | None:
    """The smaller of the two limits that a chat may name."""
    limit: int | None = chat.get("max_tokens")
    other: int | None = chat.get("max_completion_tokens")
    if limit is None or other is None:
        return other if limit is None else limit
    return min(limit, other)


def needs_of_texts(asked: Texts, size: Size) -> Needs:
    """What a request for vectors needs: no answer in words."""
    fields = tuple([name for name in TEXT_FIELDS if asked.get(name) is not None])
    return Needs(size=size, limit=0, fields=fields, resizes="dimensions" in fields)


def needs_tools(chat: Chat) -> bool:
    """Whether the chat offers functions, or tells of calls made before."""
    return bool(chat.get("tools") or chat.get("functions")) or any(
        message.get("tool_calls") or message.get("role") in {"tool", "function"}
        for message in chat["messages"]
    )
