"""What the published schema says of chat: the request's shape from ``shape``, the answers' declared here.

And what the reference shows of the rest: refusals, examples. For readers and tests; nothing on the way of a
request uses it.
"""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from msgspec import UNSET, Struct, UnsetType

from accounts.errors import (
    AddressNotAllowed,
    ClientBlocked,
    InvalidKey,
    MissingKey,
    ModelNotAllowed,
    TooManyGuesses,
)
from billing.errors import RateLimited
from routing.capabilities import CapabilitiesAnswerSerializer
from routing.conditions import ModelEndpointsAnswerSerializer, StatusesSerializer
from routing.envelope import ENVELOPES, INTERNAL
from routing.errors import (
    BadRequest,
    NoSuchAddress,
    NotJson,
    TooManyBytes,
    Unavailable,
    UnknownGeneration,
    UnknownModel,
    WrongMethod,
)
from routing.listing import ModelListSerializer, ModelSerializer
from routing.parameters import ParametersAnswerSerializer
from routing.route_schema import RouteAnswerSerializer
from routing.shape import ToolCall, chat_schema
from routing.statements import CreditsAnswerSerializer, GenerationAnswerSerializer, KeyAnswerSerializer
from routing.texts import CompletionRequest

REF = "#/components/schemas/{name}"
# What the reference's "Try it out" sends.
EXAMPLE = {"model": "gigachat/pro", "messages": [{"role": "user", "content": "Привет! Кто ты?"}]}
TEXT_EXAMPLE = {"model": "gigachat/pro", "prompt": "Жили-были старик со старухой", "max_tokens": 200}

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
    reasoning_content: str | UnsetType | None = UNSET
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
    reasoning_content: str | UnsetType = UNSET
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


class TextChoice(Struct):
    index: int
    text: str
    logprobs: None
    finish_reason: Finish | Literal["error"] | None
    reasoning: str | UnsetType = UNSET


class TextCompletion(Struct):
    """A whole answer, or one event of a stream, where ``choices`` is empty in the one with the usage."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    provider: str | None
    choices: list[TextChoice]
    system_fingerprint: str | None
    service_tier: str | None
    usage: Usage | UnsetType | None = UNSET
    error: ErrorObject | UnsetType = UNSET


def add_chat(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: the components that ``reference`` points to."""
    kinds = [ChatCompletion, ChatChunk, TextCompletion, CompletionRequest, Error]
    _, declared = msgspec.json.schema_components(kinds, ref_template=REF)
    request = chat_schema()
    request["ChatRequest"]["example"] = EXAMPLE
    declared["CompletionRequest"]["example"] = TEXT_EXAMPLE
    result["components"]["schemas"].update({**declared, **request})
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
TEXT_REQUEST = {"application/json": reference("CompletionRequest")}
TEXT_RESPONSES = {
    **CHAT_RESPONSES,
    (200, "application/json"): OpenApiResponse(
        reference("TextCompletion"), "Ответ целиком; со `stream: true` — события, последнее `[DONE]`."
    ),
    (200, "text/event-stream"): reference("TextCompletion"),
}

# What whoever asks with a key may hear instead of an answer: where no key is needed, and where one is.
KEY_OR_NOT = [{}, {"bearer": []}]
OF_SHOWN_KEYS = (InvalidKey, ClientBlocked, AddressNotAllowed, TooManyGuesses, Unavailable)
OF_KEYS = (MissingKey, *OF_SHOWN_KEYS)
MODELS_RESPONSES = {200: ModelListSerializer, **refusals(*OF_SHOWN_KEYS)}
MODEL_RESPONSES = {200: ModelSerializer, **refusals(*OF_SHOWN_KEYS, UnknownModel)}
PARAMETERS_RESPONSES = {200: ParametersAnswerSerializer, **refusals(*OF_SHOWN_KEYS, UnknownModel)}
CAPABILITIES_RESPONSES = {200: CapabilitiesAnswerSerializer, **refusals(*OF_SHOWN_KEYS, UnknownModel)}
ENDPOINTS_RESPONSES = {200: ModelEndpointsAnswerSerializer, **refusals(*OF_SHOWN_KEYS, UnknownModel)}
STATUSES_RESPONSES = {200: StatusesSerializer, **refusals(*OF_SHOWN_KEYS)}
KEY_RESPONSES = {200: KeyAnswerSerializer, **refusals(*OF_KEYS)}
CREDITS_RESPONSES = {200: CreditsAnswerSerializer, **refusals(*OF_KEYS)}
GENERATION_RESPONSES = {
    200: GenerationAnswerSerializer,
    **refusals(*OF_KEYS, BadRequest, UnknownGeneration),
}

PLAN_RESPONSES = {
    200: RouteAnswerSerializer,
    **refusals(*OF_KEYS, BadRequest, TooManyBytes, NotJson, UnknownModel, ModelNotAllowed, RateLimited),
}

KEY_EXAMPLE = {
    "label": "сервер",
    "client": "Ромашка",
    "plan": "paid",
    "is_free_tier": False,
    "is_test": False,
    "expires_at": None,
    "usage": 1250.403917,
    "usage_daily": 31.5,
    "usage_weekly": 102.25,
    "usage_monthly": 480.000125,
    "limit": 500.0,
    "limit_remaining": 18.499875,
    "limit_reset": "monthly",
    "limit_resets_at": "2026-08-01T00:00:00+03:00",
    "rate_limit": {"requests": 500, "interval": "1s"},
}
CREDITS_EXAMPLE = {
    "total_credits": 2000.0,
    "total_usage": 1250.403917,
    "balance": 749.596083,
    "held": 1.5,
    "available": 748.096083,
    "credit_limit": 0.0,
    "currency": "RUB",
}
GENERATION_EXAMPLE = {
    "id": "gen-9f86d081884c7d659a2feaa0c55ad015",
    "model": "gigachat/pro",
    "model_requested": "gigachat/pro",
    "provider": "gigachat",
    "created_at": "2026-07-14T12:30:05.120000+03:00",
    "settled_at": "2026-07-14T12:30:06.350000+03:00",
    "status": "ok",
    "streamed": True,
    "cancelled": False,
    "is_test": False,
    "http_status": 200,
    "error_type": None,
    "finish_reason": "stop",
    "native_finish_reason": None,
    "tokens_prompt": 120,
    "tokens_completion": 45,
    "tokens_cached": 20,
    "tokens_reasoning": 0,
    "usage_source": "provider",
    "total_cost": 0.0775,
    "cost_details": {
        "lines": [
            {"kind": "prompt", "tokens": 100, "price": "0.5", "cost": "0.05"},
            {"kind": "cached_prompt", "tokens": 20, "price": "0.25", "cost": "0.005"},
            {"kind": "completion", "tokens": 45, "price": "0.5", "cost": "0.0225"},
        ],
        "sum": "0.0775",
        "capped": False,
    },
    "held": 1.56,
    "refunded": 0.0,
    "latency": 310,
    "generation_time": 1210,
    "duration_ms": 1210,
    "upstream_ms": 305,
    "overhead_ms": None,
    "attempts": [{"provider": "gigachat", "outcome": "ok", "is_twin": False, "ms": 305}],
    "dropped_fields": ["seed"],
    "request_id": "req_0f3c5d6a7b8c9d0e1f2a3b4c",
    "client_request_id": "order-42",
    "session_id": None,
    "user": "ivan",
    "key": {"label": "сервер", "prefix": "xr-live-Ab3dE6gH"},
}


def example(data: dict[str, Any]) -> list[OpenApiExample]:
    """``data`` as the reference shows an answer."""
    return [OpenApiExample("Ответ", {"data": data}, response_only=True, status_codes=["200"])]
