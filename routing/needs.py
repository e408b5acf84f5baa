"""What a request asks of an endpoint: read off the chat once, without a word of what it says. Pure."""

from dataclasses import dataclass

from providers.wire import Chat, Texts
from routing.meter import Size
from routing.shape import ChatRequest

# Fields that are ours to honour, or that have no effect on the answer: no vendor is missed by them.
# (``n`` and ``best_of`` can only be 1.)
OWN_FIELDS = frozenset(
    """
    model models messages prompt n best_of stream stream_options provider route transforms plugins preset
    session_id usage data_class metadata user store safety_identifier service_tier moderation
    prompt_cache_key prompt_cache_options prompt_cache_retention
    """.split()  # noqa: SIM905 - names read better in lines
)
VENDOR_FIELDS = frozenset(ChatRequest.__struct_fields__) - OWN_FIELDS
# Fields of a request for vectors that vendors are told.
TEXT_FIELDS = ("dimensions", "input_type")
# The answer a customer gets in all likelihood, in tokens, where he names no shorter one.
USUAL_ANSWER = 300


@dataclass(frozen=True, slots=True)
class Needs:
    """How much a request says, and what it cannot do without."""

    size: Size
    limit: int | None = None  # the longest answer wanted, in tokens
    fields: tuple[str, ...] = ()  # known fields that vendors are told, in the request's order
    calls_tools: bool = False  # functions are offered
    has_images: bool = False
    form: str = ""  # json_object or json_schema
    is_streamed: bool = False
    resizes: bool = False  # vectors are to have another width than the model's own

    @property
    def answer(self) -> int:
        """Tokens of the answer, in all likelihood."""
        return USUAL_ANSWER if self.limit is None else min(self.limit, USUAL_ANSWER)


def needs_of(chat: Chat, size: Size) -> Needs:
    """What ``chat``, of which ``size`` was measured, needs. Null asks for nothing."""
    asked = [chat[name] for name in ("max_tokens", "max_completion_tokens") if chat.get(name) is not None]
    form = (chat.get("response_format") or {}).get("type", "text")
    return Needs(
        size=size,
        limit=min(asked, default=None),
        fields=tuple([name for name in chat if name in VENDOR_FIELDS and chat[name] is not None]),
        calls_tools=bool(chat.get("tools") or chat.get("functions")),
        has_images=bool(size.images),
        form="" if form == "text" else form,
        is_streamed=bool(chat.get("stream")),
    )


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
