"""A provider asked on the spot: what an operator sees of it."""

import pytest
import requests
import responses

from monitoring.advice import ADVICE
from monitoring.models import Probe
from monitoring.trial import Question, attempt, keep
from providers import errors
from tests.builders import make_credential, make_provider

pytestmark = pytest.mark.django_db

YEAR_2033_MS = 2_000_000_000_000
CHAT = Question(is_chat=True, model="m-1")


@pytest.fixture
def vendors():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as vendors:
        yield vendors


@pytest.fixture
def provider():
    provider = make_provider(
        base_url="https://vendor.example/v1", options={"static_headers": {"x-tenant": "tenant-secret"}}
    )
    make_credential(provider, {"api_key": "the-secret-key"})
    return provider


def test_what_was_sent_and_what_came_is_shown_without_the_secret(vendors, provider):
    echo = {"data": [{"id": "m-1"}], "you_sent": "Bearer the-secret-key", "tenant": "tenant-secret"}
    vendors.get("https://vendor.example/v1/models", json=echo, headers={"x-echo": "the-secret-key"})

    trial = attempt(provider, Question())

    [exchange] = trial.exchanges
    assert (trial.kind, exchange.method, exchange.url) == ("", "GET", "https://vendor.example/v1/models")
    assert (exchange.status, "m-1" in exchange.body) == (200, True)
    assert dict(exchange.sent_headers)["authorization"] == "Bearer •••"
    assert "secret" not in repr(trial)
    assert vendors.calls[0].request.headers["authorization"] == "Bearer the-secret-key"


def test_an_answer_of_one_token_is_asked_for(vendors, provider):
    answer = {"choices": [{"message": {"role": "assistant", "content": "Да"}, "finish_reason": "length"}]}
    vendors.post("https://vendor.example/v1/chat/completions", json=answer)

    trial = attempt(provider, CHAT)

    assert trial.kind == ""
    assert b'"max_tokens":1' in vendors.calls[0].request.body


def test_a_vector_is_asked_for_where_the_model_makes_vectors(vendors, provider):
    vendors.post("https://vendor.example/v1/embeddings", json={"data": [{"index": 0, "embedding": [0.5]}]})

    assert attempt(provider, Question(is_chat=True, model="e-1", embeds=True)).kind == ""


def test_the_exchange_for_a_token_is_shown_too_and_the_token_is_not(vendors):
    provider = make_provider(
        adapter="gigachat", base_url="https://giga.example/v1", auth_url="https://oauth.example/oauth"
    )
    make_credential(provider, {"authorization_key": "c2VjcmV0LWtleQ==", "scope": "GIGACHAT_API_PERS"})
    token = {"access_token": "token-of-the-vendor", "expires_at": YEAR_2033_MS}
    vendors.post("https://oauth.example/oauth", json=token)
    vendors.get("https://giga.example/v1/models", json={"data": [], "seen": "token-of-the-vendor"})

    trial = attempt(provider, Question())

    assert [each.status for each in trial.exchanges] == [200, 200]
    assert "c2VjcmV0" not in repr(trial)
    assert "token-of-the-vendor" not in repr(trial)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401, "json": {"error": {"message": "bad key the-secret-key"}}}, "DeadCredential"),
        ({"status": 429}, "Busy"),
        ({"status": 500, "body": b"<html>"}, "Broken"),
        ({"body": requests.ConnectTimeout()}, "TimedOut"),
        ({"body": requests.ConnectionError()}, "Unreachable"),
    ],
)
def test_what_went_wrong_is_told_with_what_to_do(vendors, provider, answer, kind):
    vendors.get("https://vendor.example/v1/models", **answer)

    trial = attempt(provider, Question())

    assert trial.kind == kind
    assert str(trial.advice) == str(ADVICE[kind])
    assert "the-secret-key" not in repr(trial)


def test_every_kind_of_failure_has_its_advice():
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.UpstreamError)
        and kind is not errors.UpstreamError
    }

    # A trial sends a short question that asks for no call: these cannot come of it.
    assert kinds - ADVICE.keys() == {"ContextTooLong", "Uncalled", "TooLarge"}


def test_without_a_credential_that_may_be_sent_nothing_is_sent(vendors, provider):
    provider.credentials.update(awaits_secret=True)

    trial = attempt(provider, Question())

    assert (trial.kind, trial.exchanges, len(vendors.calls)) == ("DeadCredential", (), 0)


def test_the_chosen_credential_is_sent(vendors, provider):
    other = make_credential(provider, {"api_key": "the-other-key"})
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    attempt(provider, Question(), credential_id=other.pk)

    assert vendors.calls[0].request.headers["authorization"] == "Bearer the-other-key"


def test_it_is_a_row_of_history_that_says_who_asked(vendors, provider):
    vendors.post("https://vendor.example/v1/chat/completions", status=500)

    keep(provider, attempt(provider, CHAT), CHAT, "op@xrouter.example")

    row = Probe.objects.get()
    assert (row.ok, row.kind, row.endpoint, row.asked_by) == (False, "Broken", "m-1", "op@xrouter.example")
    assert row.credential == provider.credentials.get()
