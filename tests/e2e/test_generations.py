"""The record every request leaves behind: who, what, how many tokens, how long, by whom."""

from typing import Any

import pytest

from tests.e2e.conftest import CLIENT
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.talk import MODELS, ask, chat, post

FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="streamed")]


@pytest.mark.parametrize("is_streamed", FORMS)
@pytest.mark.parametrize("model", MODELS)
def test_a_good_answer_is_recorded_whole(
    installation: Installation, door: Server, key: str, model: str, is_streamed: bool
):
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    body = chat(model, "Расскажи о Карелии", user="ivan", session_id="s-1", **options)

    heard = ask(door, key, body, X_Request_Id="mine-7")
    record = installation.generation(heard.generation)

    usage = heard.usage
    assert (record["status"], record["http_status"], record["error_type"]) == ("ok", 200, "")
    assert (record["model"], record["model_requested"], record["streamed"]) == (model, model, is_streamed)
    assert record["provider"] == heard.provider
    assert record["upstream_model"]
    assert (record["finish_reason"], record["cancelled"], record["is_test"]) == ("stop", False, False)
    assert (record["tokens_prompt"], record["tokens_completion"], record["usage_source"]) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        "provider",
    )
    assert (record["request_id"], record["client_request_id"]) == (heard.headers["x-request-id"], "mine-7")
    assert record["user"] == "ivan"
    assert record["session_id"]
    assert [one["outcome"] for one in record["attempts"]] == ["ok"]


@pytest.mark.parametrize("is_streamed", FORMS)
def test_times_are_recorded_in_their_order(
    installation: Installation, express: Server, key: str, is_streamed: bool
):
    question = "[[ttft_ms=100]][[tokens=40]][[chunks=10]][[delay_ms=10]]Расскажи"

    heard = ask(express, key, chat("slow/openai", question, stream=is_streamed))
    record = installation.generation(heard.generation)

    least = 190 if is_streamed else 100
    assert least <= record["duration_ms"] <= heard.seconds * 1000 + 20
    assert 100 <= record["upstream_ms"] <= record["duration_ms"]
    if is_streamed:
        assert 100 <= record["first_token_ms"] <= record["duration_ms"]
    else:
        assert 0 < record["overhead_ms"] < 100


def test_owner_and_dropped_fields_are_recorded(installation: Installation, express: Server, key: str):
    heard = ask(express, key, chat("gigachat/pro", "Привет", seed=5))
    record = installation.generation(heard.generation)

    (owner,) = installation.query("SELECT id FROM accounts_client WHERE name = %s", CLIENT)
    (used,) = installation.query("SELECT id, last_used_at FROM accounts_apikey WHERE prefix = %s", key[:16])
    assert (record["client_id"], record["key_id"]) == (owner["id"], used["id"])
    assert used["last_used_at"]
    assert record["dropped_fields"] == ["seed"]


@pytest.mark.parametrize("is_streamed", FORMS)
def test_a_failover_is_recorded_with_every_attempt(
    installation: Installation, express: Server, key: str, twins: Twins, is_streamed: bool
):
    twins.order("http_503", family="openai")

    heard = ask(express, key, chat("pair/openai", "Привет", stream=is_streamed))
    record = installation.generation(heard.generation)

    assert (record["status"], record["provider"]) == ("ok", "b-openai")
    tried = [(one["provider"], one["outcome"]) for one in record["attempts"]]
    assert tried == [("a-openai", "Broken"), ("b-openai", "ok")]
    assert all(one["ms"] >= 0 for one in record["attempts"])


@pytest.mark.parametrize("is_streamed", FORMS)
def test_a_failure_is_recorded_as_told(
    installation: Installation, express: Server, key: str, is_streamed: bool
):
    heard = ask(express, key, chat("solo/openai", "[[fault=http_503]]Привет", stream=is_streamed))
    record = installation.generation(heard.generation)

    assert (record["status"], record["http_status"]) == ("failed", 502)
    assert record["error_type"] == "provider_unavailable"
    assert (record["tokens_completion"], record["finish_reason"]) == (0, "")
    assert [one["outcome"] for one in record["attempts"]] == ["Broken"]


def test_a_broken_stream_is_recorded_with_what_was_delivered(
    installation: Installation, express: Server, key: str
):
    question = "[[fault=cut.after=20]][[tokens=200]]Расскажи"

    heard = ask(express, key, chat("solo/openai", question, stream=True))
    record = installation.generation(heard.generation)

    assert (record["status"], record["finish_reason"]) == ("failed", "error")
    assert record["usage_source"] == "estimated"
    assert abs(record["tokens_completion"] - len(heard.text) / 3) <= 1


def test_each_request_leaves_one_record(installation: Installation, express: Server, key: str):
    ask_all = "SELECT count(*) AS rows FROM billing_generation WHERE client_request_id = 'one-of-many'"

    for _ in range(20):
        post(express, key, chat("gen-t", "Привет"), X_Request_Id="one-of-many")

    assert wait_until(lambda: installation.query(ask_all)[0]["rows"] == 20)
