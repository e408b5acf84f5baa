"""What the published schema says of chat: the request's shape from ``shape``, the answers' declared here.

The answers' shapes are for readers and tests; nothing on a request's way uses them.
"""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from drf_spectacular.utils import OpenApiResponse
from msgspec import UNSET, Struct, UnsetType

from routing.envelope import ENVELOPES, INTERNAL
from routing.errors import NoSuchAddress, UnknownModel, WrongMethod
from routing.listing import ModelSerializer
from routing.shape import ToolCall, chat_schema

REF = "#/components/schemas/{name}"
# What the reference's "Try it out" sends.
EXAMPLE = {"model": "gigachat/pro", "messages": [{"role": "user", "content": "Привет! Кто ты?"}]}

Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptDetails(Struct):
    cached_tokens: int | UnsetType = UNSET


class CompletionDetails(Struct):
    reasoning_tokens: int | UnsetType = UNSET


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | UnsetType = UNSET
    completion_tokens_details: CompletionDetails | UnsetType = UNSET


class AnswerMessage(Struct):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[dict[str, Any]]
    reasoning: str | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class AnswerChoice(Struct):
    index: int
    message: AnswerMessage
    finish_reason: Finish
    logprobs: dict[str, Any] | None


class ChatCompletion(Struct):
    """``system_fingerprint`` is ``twin`` where a stand-in answered instead of the provider."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    provider: str | None
    choices: list[AnswerChoice]
    usage: Usage
    system_fingerprint: str | None
    service_tier: str | None


class FunctionPiece(Struct):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallPiece(Struct):
    """The first piece of a call has its id, type and name; the later ones only more of the arguments."""

    index: int
    function: FunctionPiece
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class Delta(Struct):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallPiece] | UnsetType = UNSET


class ChunkChoice(Struct):
    index: int
    delta: Delta
    finish_reason: Finish | Literal["error"] | None
    logprobs: dict[str, Any] | None


class ErrorObject(Struct):
    """``code`` is the HTTP status, or a word if the request had ``X-XRouter-Error-Codes: string``."""

    message: str
    type: str
    param: str | None
    code: int | str
    metadata: dict[str, Any]


class Error(Struct):
    error: ErrorObject


class ChatChunk(Struct):
    """One event of a stream. ``choices`` is empty in the one that tells the usage."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    provider: str | None
    choices: list[ChunkChoice]
    system_fingerprint: str | None
    service_tier: str | None
    usage: Usage | UnsetType | None = UNSET
    error: ErrorObject | UnsetType = UNSET


def add_chat(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: the components that ``reference`` points to."""
    _, answers = msgspec.json.schema_components([ChatCompletion, ChatChunk, Error], ref_template=REF)
    request = chat_schema()
    request["ChatRequest"]["example"] = EXAMPLE
    result["components"]["schemas"].update({**request, **answers})
    return result


def reference(name: str) -> dict[str, str]:
    """A pointer to the component ``name``."""
    return {"$ref": REF.format(name=name)}


def refusals(*kinds: type[Exception]) -> dict[tuple[int, str], Any]:
    """The error envelope as the answer where one of ``kinds`` is raised, or where we have a bug."""
    codes: dict[int, set[str]] = defaultdict(set)
    for row in (INTERNAL, *(ENVELOPES[kind] for kind in kinds)):
        codes[row.status].add(row.code)
    return {
        (status, "application/json"): OpenApiResponse(
            reference("Error"), f"{HTTPStatus(status).phrase}: {', '.join(sorted(words))}."
        )
        for status, words in sorted(codes.items())
    }


# Neither can come from a method and an address that are documented.
ELSEWHERE = {NoSuchAddress, WrongMethod}

CHAT_REQUEST = {"application/json": reference("ChatRequest")}
CHAT_RESPONSES = {
    (200, "application/json"): OpenApiResponse(
        reference("ChatCompletion"), "Ответ целиком; со `stream: true` — события, последнее `[DONE]`."
    ),
    (200, "text/event-stream"): reference("ChatChunk"),
    **refusals(*ENVELOPES.keys() - ELSEWHERE),
}
MODEL_RESPONSES = {200: ModelSerializer, **refusals(UnknownModel)}
