"""What a customer sees of each error: the same table as in docs/errors.md."""

import re
from pathlib import Path

import orjson
import pytest

from accounts import errors as accounts
from billing import errors as billing
from providers import errors as providers
from routing.envelope import ENVELOPES, INTERNAL, envelope, error_event, row_of
from routing.errors import (
    BadRequest,
    NobodyAnswered,
    NoRoute,
    RequestError,
    TooManyBytes,
    Unavailable,
    UnknownModel,
)

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"
DOCS_ROW = re.compile(r"^\| (\d{3}) \| `(\w+)` \| `(\w+)` \| (да|нет) \|", re.MULTILINE)


def kinds(root: type[Exception]) -> list[type[Exception]]:
    """``root`` and everything derived from it."""
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


UPSTREAM = kinds(providers.UpstreamError)


def test_an_error_has_the_shape_of_openai():
    answer = envelope(BadRequest("Поле user: плохо.", param="user"), "req_1")

    assert answer.status == 400
    assert answer.body == {
        "error": {
            "message": "Поле user: плохо.",
            "type": "invalid_request_error",
            "param": "user",
            "code": 400,
            "metadata": {"error_type": "invalid_request", "retryable": False, "request_id": "req_1"},
        }
    }
    assert answer.headers == {"x-should-retry": "false"}


def test_the_code_is_a_string_for_those_who_ask():
    answer = envelope(UnknownModel("gpt-5", ["gigachat/pro"]), "req_1", string_codes=True)

    assert answer.body["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("kind", [billing.InsufficientFunds, billing.CapReached])
def test_no_money_has_openais_word_for_those_who_ask_and_ours_beside_it(kind):
    error = envelope(kind(), "req_1", string_codes=True).body["error"]

    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert error["metadata"]["error_type"] == row_of(kind()).code != "insufficient_quota"


def test_an_unknown_model_is_told_with_its_neighbours():
    error = envelope(UnknownModel("gigachat/prо", ["gigachat/pro"]), "req_1").body["error"]

    assert "gigachat/pro" in error["message"]
    assert (error["param"], error["metadata"]["model_slug"]) == ("model", "gigachat/prо")


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        (TooManyBytes(5), 413, "request_too_large"),
        (Unavailable(), 503, "unavailable"),
        (NoRoute(["Нет инструментов."]), 503, "no_route"),
        (accounts.MissingKey(), 401, "invalid_api_key"),
        (accounts.InvalidKey(), 401, "invalid_api_key"),
        (accounts.TooManyGuesses(), 429, "too_many_wrong_keys"),
        (accounts.ClientBlocked(), 403, "client_blocked"),
        (accounts.AddressNotAllowed(), 403, "address_not_allowed"),
        (accounts.ModelNotAllowed(), 403, "model_not_allowed"),
        (providers.Rejected(), 400, "provider_rejected"),
        (providers.ContextTooLong(), 400, "context_length_exceeded"),
        (providers.TooLarge(), 413, "request_too_large"),
        (providers.Busy(), 429, "provider_overloaded"),
        (providers.TimedOut(), 504, "provider_timeout"),
        (providers.DeadCredential(), 502, "provider_unavailable"),
        (providers.TokenRefused(), 502, "provider_unavailable"),
        (providers.Misconfigured(), 502, "provider_unavailable"),
        (providers.Broken(), 502, "provider_unavailable"),
        (providers.Unreachable(), 502, "provider_unavailable"),
        (providers.Misaddressed(), 502, "provider_unavailable"),
        (providers.Truncated(), 502, "provider_unavailable"),
        (providers.Stale(), 502, "provider_unavailable"),
        (ValueError("x"), 500, "internal_error"),
    ],
)
def test_each_error_has_its_status_and_code(exc, status, code):
    assert row_of(exc)[:3:2] == (status, code)


def concrete(root: type[Exception]) -> list[type[Exception]]:
    return [kind for kind in kinds(root) if kind not in (root, NobodyAnswered)]


@pytest.mark.parametrize("kind", [*concrete(RequestError), *concrete(accounts.AccessDenied)])
def test_every_error_of_ours_has_a_row_of_its_own_or_its_parents(kind):
    assert any(ancestor in ENVELOPES for ancestor in kind.__mro__)


@pytest.mark.parametrize("kind", UPSTREAM)
def test_the_last_failure_decides_when_nobody_answered(kind):
    answer = envelope(NobodyAnswered(kind(), attempts=3), "req_1", provider_name="GigaChat")

    assert answer.status == row_of(kind()).status
    metadata = answer.body["error"]["metadata"]
    assert (metadata["provider_name"], metadata["attempts"]) == ("GigaChat", 3)


@pytest.mark.parametrize("kind", UPSTREAM)
def test_a_fault_of_a_vendor_never_looks_like_one_of_the_customers_account(kind):
    assert row_of(kind()).status not in (401, 402, 403, 404)


@pytest.mark.parametrize("kind", UPSTREAM)
def test_details_for_the_operator_stay_with_the_operator(kind):
    exc = NobodyAnswered(kind(detail="Bearer secret"), attempts=1)

    assert b"secret" not in orjson.dumps(envelope(exc, "req_1").body)


def test_a_bug_of_ours_tells_the_request_and_nothing_else():
    answer = envelope(KeyError("secret"), "req_1")

    assert answer.status == 500
    assert "req_1" in answer.body["error"]["message"]
    assert b"secret" not in orjson.dumps(answer.body)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, "5"),
        (0.2, "1"),
        (12, "12"),
        (86_400, "60"),
        (-3, "5"),
        (float("nan"), "5"),
        (float("inf"), "60"),
    ],
)
def test_a_busy_vendor_is_waited_for_within_reason(asked, told):
    answer = envelope(NobodyAnswered(providers.Busy(retry_after=asked), attempts=1), "req_1")

    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == (told, "true")
    assert answer.body["error"]["metadata"]["retry_after"] == int(told)


def test_no_route_is_final_unless_one_will_be_back():
    final, passing = NoRoute(["Нет инструментов."]), NoRoute(["Перерыв."], retry_after=4)

    assert envelope(final, "r").headers == {"x-should-retry": "false"}
    assert envelope(passing, "r").headers == {"x-should-retry": "true", "retry-after": "4"}
    assert envelope(final, "r").body["error"]["metadata"]["reasons"] == ["Нет инструментов."]


def test_reasons_are_told_once_each_and_kept_apart():
    exc = NoRoute(["a: дороже", "a: дороже", "b: не отвечает, проверяем."])

    assert str(exc) == "Сейчас этот запрос некому выполнить. a: дороже; b: не отвечает, проверяем."
    assert exc.facts() == {"reasons": ["a: дороже", "b: не отвечает, проверяем."]}
    assert str(NoRoute()) == "Сейчас этот запрос некому выполнить."


def test_a_refused_key_is_asked_for_again():
    assert envelope(accounts.InvalidKey(), "req_1").headers["www-authenticate"] == "Bearer"


def test_a_stream_reports_the_same_error_as_an_answer():
    exc = providers.Truncated()

    told = {"string_codes": True, "provider_name": "GigaChat", "docs_url": "https://xrouter.example/"}
    assert error_event(exc, "req_1", **told) == envelope(exc, "req_1", **told).body


@pytest.mark.parametrize("exc", [BadRequest(), NoRoute(), UnknownModel("x" * 10_000), RuntimeError()])
def test_every_body_is_short_json(exc):
    assert len(orjson.dumps(envelope(exc, "req_1").body)) < 1000


def test_the_documentation_lists_every_row_and_no_other():
    documented = [
        (int(status), code, kind, retry == "да")
        for status, code, kind, retry in DOCS_ROW.findall(DOCS.read_text())
    ]

    known = {(row.status, row.code, row.type, row.retryable) for row in (*ENVELOPES.values(), INTERNAL)}
    assert len(documented) == len(set(documented))
    assert set(documented) == known
