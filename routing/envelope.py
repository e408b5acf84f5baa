"""How an exception looks to the customer: HTTP status, OpenAI's error object, headers.

The only place that knows HTTP statuses. What is not in the table is our own bug: 500, a request id, no
details. A vendor's fault is never reported as the customer's: no 401, 402, 403 or 404 comes from upstream.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from accounts import errors as accounts
from billing import errors as billing
from providers import errors as providers
from routing import errors as routing

# nginx's number for a customer who went away before the answer; in records only, nobody is left to see it.
CLIENT_LEFT = 499
LONGEST_WAIT = 60.0  # seconds; the SDKs give up where they are told to wait for long


class Row(NamedTuple):
    """``code`` is the string that programs test, ``type`` the family OpenAI's clients know."""

    status: int
    type: str
    code: str
    retryable: bool = False  # may the same request succeed a little later?
    wait: float | None = None  # seconds to wait before that, where the exception does not know
    is_final: bool = False  # the wait, however long, is told as it is, and nobody is to sit it out
    openai: str = ""  # the word that OpenAI has for it, where it is another one

    @property
    def word(self) -> str:
        """What programs made for OpenAI test."""
        return self.openai or self.code


@dataclass(frozen=True, slots=True)
class Envelope:
    """An answer that reports an error. ``body`` is JSON, header names are in lower case."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


INTERNAL = Row(500, "api_error", "internal_error", retryable=True)

ENVELOPES: dict[type[BaseException], Row] = {
    routing.BadRequest: Row(400, "invalid_request_error", "invalid_request"),
    routing.TextTooLong: Row(400, "invalid_request_error", "context_length_exceeded"),
    routing.TooManyBytes: Row(413, "invalid_request_error", "request_too_large"),
    routing.BodyTimedOut: Row(408, "invalid_request_error", "request_timeout", retryable=True),
    routing.NotJson: Row(415, "invalid_request_error", "unsupported_media_type"),
    routing.NoSuchAddress: Row(404, "invalid_request_error", "not_found"),
    routing.WrongMethod: Row(405, "invalid_request_error", "method_not_allowed"),
    routing.Circular: Row(508, "api_error", "loop_detected"),
    routing.UnknownModel: Row(404, "invalid_request_error", "model_not_found"),
    routing.UnknownGeneration: Row(404, "invalid_request_error", "generation_not_found"),
    routing.UnknownKey: Row(404, "invalid_request_error", "key_not_found"),
    routing.KeyConflict: Row(409, "invalid_request_error", "key_conflict"),
    routing.KeyAlreadyMade: Row(409, "invalid_request_error", "key_already_created"),
    routing.NoRoute: Row(503, "api_error", "no_route"),
    # What an SDK would ask once more by itself would fail once more, at our expense.
    routing.Unfit: Row(502, "api_error", "response_format_not_kept"),
    routing.TooManyUnfit: Row(429, "rate_limit_error", "too_many_unfit_answers", is_final=True),
    routing.Overloaded: Row(429, "rate_limit_error", "service_overloaded", retryable=True),
    routing.Unavailable: Row(503, "api_error", "unavailable", retryable=True, wait=1),
    accounts.MissingKey: Row(401, "invalid_request_error", "invalid_api_key"),
    accounts.InvalidKey: Row(401, "invalid_request_error", "invalid_api_key"),
    accounts.TooManyGuesses: Row(429, "rate_limit_error", "too_many_wrong_keys", retryable=True),
    accounts.ClientBlocked: Row(403, "permission_error", "client_blocked"),
    accounts.AddressNotAllowed: Row(403, "permission_error", "address_not_allowed"),
    accounts.ModelNotAllowed: Row(403, "permission_error", "model_not_allowed"),
    accounts.ManagesOnly: Row(403, "permission_error", "management_key"),
    accounts.ManagesNothing: Row(403, "permission_error", "management_key_required"),
    accounts.TooManyChanges: Row(429, "rate_limit_error", "too_many_key_changes", retryable=True),
    billing.InsufficientFunds: Row(
        402, "insufficient_quota", "insufficient_funds", openai="insufficient_quota"
    ),
    billing.CapReached: Row(402, "insufficient_quota", "key_limit_reached", openai="insufficient_quota"),
    billing.TellerAway: Row(503, "api_error", "unavailable", retryable=True, wait=1),
    billing.RateLimited: Row(429, "rate_limit_error", "rate_limit_exceeded", retryable=True),
    billing.DailyQuotaReached: Row(429, "rate_limit_error", "daily_quota_reached", is_final=True),
    providers.Rejected: Row(400, "invalid_request_error", "provider_rejected"),
    providers.ContextTooLong: Row(400, "invalid_request_error", "context_length_exceeded"),
    providers.Refused: Row(400, "invalid_request_error", "content_policy_violation"),
    providers.Uncalled: Row(502, "api_error", "no_tool_call"),
    providers.TooLarge: Row(413, "invalid_request_error", "request_too_large"),
    providers.Busy: Row(429, "rate_limit_error", "provider_overloaded", retryable=True, wait=5),
    providers.TimedOut: Row(504, "api_error", "provider_timeout", retryable=True),
    providers.UpstreamError: Row(502, "api_error", "provider_unavailable", retryable=True),
}


def envelope(
    exc: BaseException,
    request_id: str,
    *,
    string_codes: bool = False,
    provider_name: str = "",
    docs_url: str = "",
) -> Envelope:
    """The answer that reports ``exc``.

    ``string_codes`` puts OpenAI's word where OpenAI has it; by default ``code`` is the HTTP status.
    ``provider_name`` is the public name of the provider that was asked last, if one was; ``docs_url`` leads
    to what is written of errors, where that has an address.
    """
    row = row_of(exc)
    told: Any = {"string_codes": string_codes, "provider_name": provider_name, "docs_url": docs_url}
    body = error_event(exc, request_id, **told)
    return Envelope(row.status, body, _headers(row, _wait(exc, row)))


def error_event(
    exc: BaseException,
    request_id: str,
    *,
    string_codes: bool = False,
    provider_name: str = "",
    docs_url: str = "",
) -> dict[str, Any]:
    """The same error object as an event of a stream that has already begun."""
    row = row_of(exc)
    error = {
        "message": f"Внутренняя ошибка. Номер запроса: {request_id}." if row is INTERNAL else str(exc),
        "type": row.type,
        "param": getattr(exc, "param", None),
        "code": row.word if string_codes else row.status,
        "metadata": _metadata(exc, row, request_id, provider_name, docs_url),
    }
    return {"error": error}


def row_of(exc: BaseException) -> Row:
    """The nearest ancestor's row. Where nobody answered, the last failure's kind decides."""
    cause = _cause(exc)
    return next((ENVELOPES[cls] for cls in type(cause).__mro__ if cls in ENVELOPES), INTERNAL)


def _cause(exc: BaseException) -> BaseException:
    return exc.failure if isinstance(exc, routing.NobodyAnswered) else exc


def _metadata(
    exc: BaseException, row: Row, request_id: str, provider_name: str, docs_url: str
) -> dict[str, Any]:
    wait = _wait(exc, row)
    return {
        "error_type": row.code,
        "retryable": _retryable(row, wait),
        "request_id": request_id,
        **({"docs_url": docs_url} if docs_url else {}),
        **({"provider_name": provider_name} if provider_name else {}),
        **({"retry_after": wait} if wait else {}),
        **(exc.facts() if isinstance(exc, routing.RequestError | billing.BillingError) else {}),
    }


def _wait(exc: BaseException, row: Row) -> int | None:
    """Whole seconds to wait, within reason whatever a vendor may say; None if nobody knows."""
    asked = getattr(_cause(exc), "retry_after", None)
    # NaN compares as false.
    seconds = asked if asked is not None and asked > 0 else row.wait
    longest = math.inf if row.is_final else LONGEST_WAIT
    return None if seconds is None else math.ceil(min(seconds, longest))


def _retryable(row: Row, wait: int | None) -> bool:
    return row.retryable or (wait is not None and not row.is_final)


def _headers(row: Row, wait: int | None) -> dict[str, str]:
    # OpenAI's clients obey x-should-retry before they look at the status.
    headers = {"x-should-retry": "true" if _retryable(row, wait) else "false"}
    if wait is not None:
        headers["retry-after"] = str(wait)
    if row.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
