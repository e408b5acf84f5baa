"""A request for a text completion, the form that came before chats: bytes -> a chat of one message. Pure.

Inside the house there are only chats. Of what the older form has and a chat has not, some can be brought
about; the rest is a BadRequest that names the field.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from accounts.preferences import Preferences
from providers.wire import Chat, Support
from routing.errors import BadRequest
from routing.needs import asks_for_nothing
from routing.reading import checked, read_as
from routing.shape import (
    MAX_BIASES,
    Bias,
    ChatRequest,
    Count,
    Effort,
    JsonFormat,
    JsonObject,
    ModelId,
    Penalty,
    Reasoning,
    SchemaFormat,
    Share,
    Short,
    StreamOptions,
    Text,
    TextFormat,
    UsageOptions,
)

# Tokens of an answer whose length nobody names: OpenAI's (docs/decisions/text-completions.md).
USUAL_LIMIT = 16
LIMITS = ("max_tokens", "max_completion_tokens")

# What becomes of the fields that chats do not have.
FIELDS: Mapping[str, Support] = {
    "prompt": Support.EXACT,
    "echo": Support.EMULATED,  # the router puts the prompt before the text
    "suffix": Support.REFUSED,
    "logprobs": Support.REFUSED,  # a number here, true or false in a chat
    "best_of": Support.REFUSED,  # above 1
}
REFUSALS = {
    "suffix": "вставка текста перед готовым окончанием не поддерживается",
    "logprobs": "вероятности токенов здесь не сообщаются; они есть в /v1/chat/completions у части моделей",
}
ONE_PROMPT = "за один запрос принимается один текст; для нескольких отправьте несколько запросов"
NO_TOKENS = "токены вместо текста не принимаются: у каждой модели они свои"


class CompletionRequest(Struct, gc=False):
    """``POST /v1/completions``."""

    model: ModelId | None = None
    prompt: Text | Annotated[list[Any], Meta(min_length=1)] | None = None
    best_of: Count | None = None
    echo: bool | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=MAX_BIASES)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    n: Count | None = None
    presence_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Text | Annotated[list[Text], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    user: Short | None = None
    # Fields of routers.
    provider: Preferences | None = None
    models: Annotated[list[ModelId], Meta(max_length=16)] | None = None
    session_id: Short | None = None
    metadata: JsonObject | None = None
    reasoning: Reasoning | None = None
    reasoning_effort: Effort | None = None
    response_format: TextFormat | JsonFormat | SchemaFormat | None = None
    usage: UsageOptions | None = None
    top_k: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    min_p: Share | None = None
    repetition_penalty: Annotated[float, Meta(ge=0, le=2)] | None = None


# Here they mean nothing: messages, tools and the like. What nobody knows goes on, as in a chat.
NOT_HERE = frozenset(ChatRequest.__struct_fields__).difference(CompletionRequest.__struct_fields__)
LEFT_OUT = NOT_HERE.union(FIELDS)


class TextAsked(NamedTuple):
    """The chat that asks for a text, and what the answer is to begin with."""

    chat: Chat
    echo: str
    unheard: tuple[str, ...]  # fields that only chats have, and that want something


def read_text(body: bytes) -> TextAsked:
    """What ``body`` asks for. Raises TooManyBytes or BadRequest."""
    asked = read_as(CompletionRequest, body)
    for field, why in REFUSALS.items():
        if _asks(asked.get(field)):
            raise BadRequest(f"Поле {field}: {why}.", param=field)
    prompt = _prompt(asked.get("prompt"))
    chat = {name: value for name, value in asked.items() if name not in LEFT_OUT}
    chat["messages"] = [{"role": "user", "content": prompt}]
    if all(chat.get(name) is None for name in LIMITS):
        chat["max_tokens"] = USUAL_LIMIT
    # Looked at as in a chat, which knows the field; no vendor is told.
    checked({**chat, "best_of": asked.get("best_of")})
    extra = [(name, value) for name, value in asked.items() if value and name in NOT_HERE]
    unheard = tuple([name for name, value in extra if not asks_for_nothing(name, value)])
    return TextAsked(chat, prompt if asked.get("echo") else "", unheard)


def _asks(value: Any) -> bool:
    """Whether something is wanted. ``logprobs: 0`` wants the probability of the chosen token alone."""
    return not (value is None or value is False or value == "")


def _prompt(given: Any) -> str:
    """The one text. Raises BadRequest for several, and for tokens."""
    if given is None:
        raise BadRequest("Нет обязательного поля prompt.", param="prompt")
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"Поле prompt: {NO_TOKENS}.", param="prompt")
    if len(texts) > 1:
        raise BadRequest(f"Поле prompt: {ONE_PROMPT}.", param="prompt")
    if not texts[0]:
        raise BadRequest("Поле prompt: текст пуст.", param="prompt")
    return str(texts[0])
