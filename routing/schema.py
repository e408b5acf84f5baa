"""What the published schema says of chat: the request's shape from ``shape``, the answers' declared here.

And what it says of the refusals. For readers and tests; nothing on the way of a
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
    ManagesNothing,
    ManagesOnly,
    MissingKey,
    ModelNotAllowed,
    TooManyChanges,
    TooManyGuesses,
)
from billing.errors import RateLimited
from routing.envelope import ENVELOPES, INTERNAL
from routing.errors import (
    BadRequest,
    BodyTimedOut,
    KeyAlreadyMade,
    KeyConflict,
    NoSuchAddress,
    NotJson,
    TextTooLong,
    TooManyBytes,
    TooManyUnfit,
    Unavailable,
    UnknownGeneration,
    UnknownKey,
    UnknownModel,
    WrongMethod,
)
from routing.needs import UNHEARD, VENDOR_FIELDS
from routing.route_schema import GenerationRouteAnswerSerializer, RouteAnswerSerializer
from routing.schema_answers import operations
from routing.schema_examples import EVENTS, refused
from routing.schema_rules import published
from routing.schema_words import ABOUT, COMPONENTS, FIELDS, SUMMARIES, TAGS, UNHEARD_FIELD, VENDORS_FIELD
from routing.shape import CalledFunction, ToolCall, chat_schema
from routing.statements import CreditsAnswerSerializer, GenerationAnswerSerializer, KeyAnswerSerializer
from routing.texts import CompletionRequest

REF = "#/components/schemas/{name}"

Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


# What ``X-XRouter-Trace: 1`` asks for: the route, as ``GET /v1/generation/route`` tells it.
Trace = dict[str, Any]


class PromptDetails(Struct):
    cached_tokens: int


class CompletionDetails(Struct):
    reasoning_tokens: int


class CostParts(Struct):
    """Roubles before rounding. ``usage_source``: who has counted the tokens."""

    prompt_cost: float
    cached_prompt_cost: float
    completion_cost: float
    reasoning_cost: float
    request_cost: float
    currency: Literal["RUB"]
    usage_source: Literal["provider", "estimated"]
    upstream_inference_cost: None
    limited_by: Literal["balance", "key_limit"] | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
    cost: float
    cost_details: CostParts


class AnswerMessage(Struct):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[dict[str, Any]]
    reasoning: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType | None = UNSET


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
    xrouter: Trace | UnsetType = UNSET


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
    refusal: str | UnsetType = UNSET
    tool_calls: list[ToolCallPiece] | UnsetType = UNSET
    function_call: FunctionPiece | UnsetType = UNSET


class ChunkChoice(Struct):
    index: int
    delta: Delta
    finish_reason: Finish | Literal["error"] | None
    logprobs: dict[str, Any] | None


class ErrorMetadata(Struct):
    error_type: str
    retryable: bool
    request_id: str
    docs_url: str | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    provider_name: str | UnsetType = UNSET
    reasons: list[str] | UnsetType = UNSET
    model_slug: str | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    missing: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    repairs: int | UnsetType = UNSET
    key_id: str | UnsetType = UNSET
    currency: Literal["RUB"] | UnsetType = UNSET


class ErrorObject(Struct):
    """``code`` is the HTTP status, or a word if the request had ``X-XRouter-Error-Codes: string``."""

    message: str
    type: str
    param: str | None
    code: int | str
    metadata: ErrorMetadata


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
    xrouter: Trace | UnsetType = UNSET
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
    xrouter: Trace | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


ANSWERS = (ChatCompletion, ChatChunk, TextCompletion, Error)


def add_chat(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: the components that ``reference`` points to."""
    requests = published({**components(CompletionRequest), **chat_schema()})
    answers = components(*ANSWERS)
    answers["ErrorObject"]["properties"]["type"]["enum"] = sorted({row.type for row in ROWS})
    answers["ErrorMetadata"]["properties"]["error_type"]["enum"] = sorted({row.code for row in ROWS})
    events = {"ChatEvent": _event("ChatChunk"), "TextEvent": _event("TextCompletion")}
    result["components"]["schemas"].update({**answers, **events, **requests})
    return result


def _event(name: str) -> dict[str, Any]:
    """One event of a stream, in the words that OpenAPI has for them since 3.2."""
    piece = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference(name)}
    data = {
        "anyOf": [piece, {"const": "[DONE]"}],
        "description": "JSON; у последнего события — `[DONE]`. Строки с `:` в начале держат связь.",
    }
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def add_words(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: what it is for, and what components and fields mean."""
    result["info"]["description"] = ABOUT
    result["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
    for operation in operations(result):
        operation["summary"] = SUMMARIES[operation["operationId"]]
    components = result["components"]["schemas"]
    for name, said in COMPONENTS.items():
        components[name]["description"] = said
    for name, fields in field_words().items():
        for field, said in fields.items():
            components[name]["properties"][field]["description"] = said
    return result


def field_words() -> dict[str, dict[str, str]]:
    """What the fields mean, by component; those of a chat all of them."""
    chat = {
        name: UNHEARD_FIELD if name in UNHEARD else VENDORS_FIELD
        for name in (*UNHEARD, *VENDOR_FIELDS)
        if name not in FIELDS["ChatRequest"]
    }
    return {**FIELDS, "ChatRequest": {**FIELDS["ChatRequest"], **chat}}


def components(*kinds: type[Struct]) -> dict[str, dict[str, Any]]:
    """JSON schemas of ``kinds`` and of what they are made of, by component name."""
    return msgspec.json.schema_components(kinds, ref_template=REF)[1]


def reference(name: str) -> dict[str, str]:
    """A pointer to the component ``name``."""
    return {"$ref": REF.format(name=name)}


def refusals(*kinds: type[Exception]) -> dict[tuple[int, str], Any]:
    """The error envelope as the answer where one of ``kinds`` is raised, or where we have a bug."""
    codes: dict[int, set[str]] = defaultdict(set)
    shown: dict[int, list[OpenApiExample]] = defaultdict(list)
    for kind in (RuntimeError, *sorted(kinds, key=lambda each: each.__name__)):
        row = ENVELOPES.get(kind, INTERNAL)
        codes[row.status].add(row.code)
        shown[row.status].append(REFUSED[kind])
    return {
        (status, "application/json"): OpenApiResponse(
            reference("Error"), f"{HTTPStatus(status).phrase}: {', '.join(sorted(words))}.", shown[status]
        )
        for status, words in sorted(codes.items())
    }


ROWS = (*ENVELOPES.values(), INTERNAL)
REFUSED = refused()

# None of them can come of asking a model at its documented address.
ELSEWHERE = {
    *(NoSuchAddress, WrongMethod, UnknownGeneration),
    *(UnknownKey, KeyConflict, KeyAlreadyMade, ManagesNothing, TooManyChanges),
}
WHOLE_OR_EVENTS = "Ответ целиком; со `stream: true` — события."

CHAT_REQUEST = {"application/json": reference("ChatRequest")}
CHAT_RESPONSES = {
    (200, "application/json"): OpenApiResponse(reference("ChatCompletion"), WHOLE_OR_EVENTS),
    (200, EVENTS): OpenApiResponse(reference("ChatEvent"), WHOLE_OR_EVENTS),
    **refusals(*ENVELOPES.keys() - ELSEWHERE - {TextTooLong}),
}
TEXT_REQUEST = {"application/json": reference("CompletionRequest")}
TEXT_RESPONSES = {
    **CHAT_RESPONSES,
    (200, "application/json"): OpenApiResponse(reference("TextCompletion"), WHOLE_OR_EVENTS),
    (200, EVENTS): OpenApiResponse(reference("TextEvent"), WHOLE_OR_EVENTS),
}

# What whoever asks without a key may hear instead of an answer; BadRequest where the host is a stranger's.
OF_ALL = (BadRequest, Unavailable)
# With a key that is shown where none is needed, and where one is.
KEY_OR_NOT: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"apiKey": []}]
OF_SHOWN_KEYS = (InvalidKey, ClientBlocked, AddressNotAllowed, TooManyGuesses)
OPEN_RESPONSES = refusals(*OF_ALL, *OF_SHOWN_KEYS)
OF_MODEL = refusals(*OF_ALL, *OF_SHOWN_KEYS, UnknownModel)

OF_KEYS = (*OF_ALL, MissingKey, *OF_SHOWN_KEYS)
KEY_RESPONSES = {200: KeyAnswerSerializer, **refusals(*OF_KEYS)}
OF_ASKERS = (*OF_KEYS, ManagesOnly)
CREDITS_RESPONSES = {200: CreditsAnswerSerializer, **refusals(*OF_ASKERS)}
GENERATION_RESPONSES = {200: GenerationAnswerSerializer, **refusals(*OF_ASKERS, UnknownGeneration)}
GENERATION_ROUTE_RESPONSES = {200: GenerationRouteAnswerSerializer, **refusals(*OF_ASKERS, UnknownGeneration)}

OF_BODIES = (TooManyBytes, BodyTimedOut, NotJson)
OF_PLANS = (UnknownModel, ModelNotAllowed, RateLimited, TooManyUnfit)
PLAN_RESPONSES = {200: RouteAnswerSerializer, **refusals(*OF_ASKERS, *OF_BODIES, *OF_PLANS)}
