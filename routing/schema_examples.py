"""What the published schema shows: requests, answers, and every refusal as it is sent."""

import json
from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample

from accounts import errors as accounts
from billing import errors as billing
from billing.limits import Standing
from providers import errors as providers
from routing import errors as routing
from routing.envelope import envelope
from routing.reading import MAX_BYTES

Json = dict[str, Any]

REQUEST_ID = "req_0f3c5d6a7b8c9d0e1f2a3b4c"
GENERATION_ID = "gen-9f86d081884c7d659a2feaa0c55ad015"
EVENTS = "text/event-stream"

# --- Requests ------------------------------------------------------------------------------------

_QUESTION = {"model": "gigachat/pro", "messages": [{"role": "user", "content": "Какая столица у Карелии?"}]}
CHATS: dict[str, Json] = {
    "Вопрос": {
        "model": "gigachat/pro",
        "messages": [
            {"role": "system", "content": "Отвечай одним предложением."},
            {"role": "user", "content": "Какая столица у Карелии?"},
        ],
        "max_tokens": 100,
    },
    "Поток": {**_QUESTION, "stream": True, "stream_options": {"include_usage": True}},
    "Функция": {
        "model": "gigachat/pro",
        "messages": [{"role": "user", "content": "Тепло ли сейчас в Петрозаводске?"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Погода в городе",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string", "description": "Город"}},
                        "required": ["city"],
                    },
                },
            }
        ],
        "tool_choice": "auto",
    },
    "Ответ по схеме": {
        "model": "yandexgpt/pro",
        "messages": [{"role": "user", "content": "Разбери адрес: Петрозаводск, ул. Ленина, 1"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "address",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "street": {"type": "string"}},
                    "required": ["city", "street"],
                },
            },
        },
    },
    "Рассуждения": {
        "model": "gen-t/t-pro",
        "messages": [{"role": "user", "content": "Сколько будет 17 умножить на 23?"}],
        "reasoning": {"effort": "low"},
    },
    "Выбор модели за вас": {
        "model": "xrouter/auto",
        "messages": [{"role": "user", "content": "Напиши на Python сортировку слиянием"}],
    },
    "Запасная модель и выбор провайдера": {
        **_QUESTION,
        "models": ["yandexgpt/pro"],
        "provider": {"sort": "price", "data_collection": "deny"},
    },
}
TEXTS: dict[str, Json] = {
    "Продолжение": {"model": "mts-ai/cotype-pro", "prompt": "Жили-были старик со старухой", "max_tokens": 200}
}
VECTORS: dict[str, Json] = {
    "Тексты": {"model": "gigachat/embeddings", "input": ["Столица Карелии", "Город на Онежском озере"]},
    "Один текст, base64": {
        "model": "gigachat/embeddings",
        "input": "Столица Карелии",
        "encoding_format": "base64",
    },
}

# --- Answers -------------------------------------------------------------------------------------

_USAGE: Json = {
    "prompt_tokens": 24,
    "completion_tokens": 6,
    "total_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
    "cost": 0.015,
    "cost_details": {
        "prompt_cost": 0.012,
        "cached_prompt_cost": 0.0,
        "completion_cost": 0.003,
        "reasoning_cost": 0.0,
        "request_cost": 0.0,
        "currency": "RUB",
        "usage_source": "provider",
        "upstream_inference_cost": None,
    },
}
_HEAD: Json = {
    "id": GENERATION_ID,
    "object": "chat.completion",
    "created": 1784023805,
    "model": "gigachat/pro",
    "provider": "gigachat",
    "system_fingerprint": None,
    "service_tier": None,
}
_MESSAGE: Json = {
    "role": "assistant",
    "content": "Столица Карелии — Петрозаводск.",
    "refusal": None,
    "annotations": [],
}
COMPLETION: Json = {
    **_HEAD,
    "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop", "logprobs": None}],
    "usage": _USAGE,
}
TEXT_COMPLETION: Json = {
    **_HEAD,
    "object": "text_completion",
    "choices": [{"index": 0, "text": " у самого синего моря.", "finish_reason": "stop", "logprobs": None}],
    "usage": _USAGE,
}
VECTORS_ANSWER: Json = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456, 0.0789]}],
    "model": "gigachat/embeddings",
    "id": GENERATION_ID,
    "provider": "gigachat",
    "usage": {
        "prompt_tokens": 6,
        "total_tokens": 6,
        "cost": 0.000084,
        "cost_details": {
            "prompt_cost": 0.000084,
            "request_cost": 0.0,
            "currency": "RUB",
            "usage_source": "provider",
            "upstream_inference_cost": None,
        },
    },
}


def _events(choices: Iterable[Json], head: Json) -> str:
    """A stream as it comes: each piece, what was used, the end."""
    sent = [{**head, "choices": [choice]} for choice in choices]
    sent.append({**head, "choices": [], "usage": _USAGE})
    lines = [json.dumps(event, ensure_ascii=False) for event in sent]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])


def _piece(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


STREAM = _events(
    [
        _piece({"role": "assistant", "content": ""}),
        _piece({"content": "Столица Карелии — "}),
        _piece({"content": "Петрозаводск."}),
        _piece({}, "stop"),
    ],
    {**_HEAD, "object": "chat.completion.chunk"},
)
TEXT_STREAM = _events(
    [
        {"index": 0, "text": " у самого синего моря.", "logprobs": None, "finish_reason": None},
        {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"},
    ],
    {**_HEAD, "object": "text_completion"},
)

KEY = {
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
CREDITS = {
    "total_credits": 2000.0,
    "total_usage": 1250.403917,
    "balance": 749.596083,
    "held": 1.5,
    "available": 748.096083,
    "credit_limit": 0.0,
    "currency": "RUB",
}
GENERATION = {
    "id": GENERATION_ID,
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
    "request_id": REQUEST_ID,
    "client_request_id": "order-42",
    "session_id": None,
    "user": "ivan",
    "key": {"label": "сервер", "prefix": "xr-live-Ab3dE6gH"},
}

# --- Refusals ------------------------------------------------------------------------------------

_STANDING = Standing()
# One of each kind that a customer may meet.
REFUSALS: tuple[Exception, ...] = (
    routing.BadRequest("Поле temperature: ожидается число от 0 до 2, получена строка.", param="temperature"),
    routing.TextTooLong(2_048, 3),
    routing.TooManyBytes(MAX_BYTES),
    routing.BodyTimedOut(),
    routing.NotJson(),
    routing.NoSuchAddress(),
    routing.WrongMethod(["POST"]),
    routing.UnknownModel("gigachat/por", ["gigachat/pro"]),
    routing.UnknownGeneration(),
    routing.NoRoute(["gigachat: учится на запросах"]),
    routing.UnknownKey(),
    routing.KeyConflict(),
    routing.KeyAlreadyMade("xr-live-Ab3dE6gH"),
    routing.Unavailable(),
    routing.Circular(),
    routing.Unfit('items[0].price: "5" is not of type "number"', path="items[0].price", repairs=2),
    routing.TooManyUnfit(retry_after=180),
    routing.Overloaded(retry_after=1),
    accounts.MissingKey(),
    accounts.InvalidKey(),
    accounts.TooManyGuesses(),
    accounts.ClientBlocked(),
    accounts.AddressNotAllowed(),
    accounts.ModelNotAllowed(),
    accounts.ManagesOnly(),
    accounts.ManagesNothing(),
    accounts.TooManyChanges(),
    billing.InsufficientFunds(missing=1_250_000),
    billing.CapReached(missing=1_250_000),
    billing.TellerAway(),
    billing.RateLimited("c:1", "requests_per_minute", 20, 12, _STANDING),
    billing.DailyQuotaReached("c:1", "requests_per_day", 200, 20_400, _STANDING),
    providers.Rejected(),
    providers.ContextTooLong(),
    providers.Refused(),
    providers.Uncalled(),
    providers.TooLarge(),
    providers.Busy(),
    providers.TimedOut(),
    providers.UpstreamError(),
    RuntimeError(),
)


def shown(data: Json) -> list[OpenApiExample]:
    """``data`` as the reference shows an answer."""
    return [OpenApiExample("Ответ", {"data": data}, response_only=True, status_codes=["200"])]


def asked(examples: dict[str, Json]) -> list[OpenApiExample]:
    """Requests by their titles."""
    return [OpenApiExample(title, body, request_only=True) for title, body in examples.items()]


def answered(whole: Json, stream: str = "") -> list[OpenApiExample]:
    """A whole answer, and the same as events where it may be streamed."""
    only: Any = {"response_only": True, "status_codes": ["200"]}
    told = [OpenApiExample("Ответ", whole, media_type="application/json", **only)]
    return told + ([OpenApiExample("События", stream, media_type=EVENTS, **only)] if stream else [])


def refused() -> dict[type[Exception], OpenApiExample]:
    """Each refusal as it is sent, by its kind."""
    return {type(exc): _refusal(exc) for exc in REFUSALS}


def _refusal(exc: Exception) -> OpenApiExample:
    asked_last = "gigachat" if isinstance(exc, providers.UpstreamError) else ""
    sent = envelope(exc, REQUEST_ID, provider_name=asked_last)
    return OpenApiExample(
        type(exc).__name__,
        sent.body,
        summary=sent.body["error"]["metadata"]["error_type"],
        response_only=True,
    )
