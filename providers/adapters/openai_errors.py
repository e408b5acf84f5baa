"""What an OpenAI-shaped error means, whichever of its shapes and statuses it comes in. Pure.

Nested ``{"error": {…}}`` (OpenAI, vLLM), flat ``{"object": "error", …}`` (older vLLM), ``error`` as a string,
``{"detail": …}`` (FastAPI), a bare ``code`` (MWS); the code a string, an integer, digits or absent; HTML.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.errors import (
    Broken,
    Busy,
    Conflict,
    ContextTooLong,
    DeadCredential,
    Misconfigured,
    NotRead,
    Refused,
    Rejected,
    TimedOut,
    TooLarge,
    UpstreamError,
)
from providers.redact import quotable, redacted
from providers.waiting import busy

Kind = type[UpstreamError]
Codes = Mapping[str, Kind]

# What is not here and has a status is Broken.
STATUSES: Mapping[int, Kind] = {
    400: Rejected,
    401: DeadCredential,
    402: DeadCredential,
    403: DeadCredential,
    404: Misconfigured,
    405: Misconfigured,
    408: NotRead,
    409: Conflict,
    410: Misconfigured,
    413: TooLarge,
    415: Misconfigured,
    422: Rejected,
    429: Busy,
    504: TimedOut,
    524: TimedOut,
}

# Symbolic codes and types say more than the status: they are looked up first.
CODES: Codes = {
    "content_filter": Refused,
    "content_policy_violation": Refused,
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,  # llama.cpp
    "insufficient_quota": DeadCredential,  # the operator's account is empty; waiting does not help
    "invalid_api_key": DeadCredential,
    "model_not_found": Misconfigured,
    "rate_limit_exceeded": Busy,
}

# An error inside a 200 often has no number: what its type stands for.
TYPES: Mapping[str, int] = {
    "BadRequestError": 400,
    "invalid_request_error": 400,
    "AuthenticationError": 401,
    "authentication_error": 401,
    "PermissionDeniedError": 403,
    "permission_error": 403,
    "NotFoundError": 404,
    "not_found_error": 404,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "rate_limit_error": 429,
    "timeout_error": 504,
}

# vLLM, SGLang and old OpenAI overflow with a plain 400; only the text tells. Documented phrases.
OVERFLOW = ("maximum context length", "longer than the model's context length")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A vendor's error in one shape."""

    status: int
    code: str = ""
    type: str = ""
    message: str = ""
    param: str = ""


def complaint_in(answer: Mapping[str, Any], status: int = 200) -> Complaint | None:
    """The error an answer holds, if it does. ``status`` is HTTP's; inside a 200 the error's own counts."""
    inner = answer.get("error") or (answer if _is_flat_error(answer) else None)
    if inner is None:
        return None
    fields = inner if isinstance(inner, dict) else {"message": inner}
    # MWS may put the code beside the error instead of inside.
    code, kind = _text(fields.get("code") or answer.get("code")), _text(fields.get("type"))
    message, param = _detail(fields.get("detail")) if "detail" in fields else ("", "")
    return Complaint(
        status=_status(code, kind) if status == 200 else status,
        code=code,
        type=kind,
        message=message or _text(fields.get("message")),
        param=param or _text(fields.get("param")),
    )


def _is_flat_error(answer: Mapping[str, Any]) -> bool:
    if answer.get("choices") is not None:
        return False
    return answer.get("object") == "error" or bool(answer.get("code") or answer.get("detail"))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _detail(detail: object) -> tuple[str, str]:
    """FastAPI's text or list of ``{"loc", "msg"}``: the first message and the field it names."""
    first = detail[0] if isinstance(detail, list) and detail else detail
    if not isinstance(first, dict):
        return _text(first), ""
    place = first.get("loc")
    names = [str(name) for name in place if name != "body"] if isinstance(place, list) else []
    return _text(first.get("msg")), ".".join(names[:5])


def _status(code: str, kind: str) -> int:
    if code.isascii() and code.isdecimal() and len(code) == 3:
        return int(code)
    return TYPES.get(code) or TYPES.get(kind, 500)


def error_of(complaint: Complaint, codes: Codes, headers: Mapping[str, str]) -> UpstreamError:
    """The one error of ours that ``complaint`` is. ``codes`` are the dialect's symbolic codes and types."""
    kind = codes.get(complaint.code) or codes.get(complaint.type) or STATUSES.get(complaint.status, Broken)
    if issubclass(kind, Rejected) and any(phrase in complaint.message for phrase in OVERFLOW):
        kind = ContextTooLong
    detail = redacted(f"status {complaint.status}, code {complaint.code}, type {complaint.type}")
    if kind is Busy:
        return busy(detail, headers)
    return kind(_rejection(complaint) if kind is Rejected else "", detail=detail)


def _rejection(complaint: Complaint) -> str:
    words = quotable(complaint.message)
    where = f" (поле {complaint.param})" if quotable(complaint.param) else ""
    return f"Провайдер отклонил запрос{where}: {words}" if words else f"Провайдер отклонил запрос{where}."
