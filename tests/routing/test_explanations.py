"""How it is decided who answers, over HTTP: beforehand, afterwards, and how providers do."""

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client as Browser
from django.utils import timezone

from accounts.limits import Limits
from billing.models import Account
from monitoring.health import Outcome
from monitoring.models import Probe
from providers.models import Provider
from routing import admission, plane
from routing.catalogue import load_catalogue
from routing.models import Endpoint
from routing.snapshot import kept
from tests.builders import (
    eve,
    make_client,
    make_credential,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    romashka,
)

CHAT = {"model": "family/pro", "messages": [{"role": "user", "content": "Секретный вопрос"}]}


@pytest.fixture
def here(monkeypatch, transactional_db) -> plane.Plane:
    """A plane that was not opened, with a catalogue of one model at two providers.

    Its callers are looked up by another thread; its limits are judged without Redis.
    """
    model = make_model("family/pro", quality={"general": 80})
    for slug in ("a", "b"):
        provider = make_provider(slug)
        make_credential(provider)
        make_endpoint(model, provider)
    make_endpoint(model, make_provider("keyless"))
    opened = plane.Plane()
    async_to_sync(opened._windows.close)()
    opened._snapshot.catalogue = kept(load_catalogue(with_twins=False))
    monkeypatch.setattr(plane, "_current", [opened])
    return opened


def headers(owner: Any = None) -> dict[str, str]:
    return {"authorization": f"Bearer {make_key(owner or make_client())[1]}"}


def plan(body: Any = CHAT, **with_: Any) -> Any:
    how = {"headers": headers(), **with_}
    return Browser().post("/v1/route/plan", json.dumps(body), content_type="application/json", **how)


def test_a_plan_tells_who_would_be_asked_and_who_would_not(here):
    answer = plan()

    told = answer.json()["data"]
    assert answer.status_code == 200
    assert {each["provider"] for each in told["candidates"]} == {"a", "b"}
    assert [each["position"] for each in told["candidates"]] == [1, 2]
    assert sum(each["chance"] for each in told["candidates"]) == pytest.approx(1)
    assert [(each["provider"], each["rule"]) for each in told["excluded"]] == [("keyless", "no_credentials")]
    assert told["snapshot"] == here._snapshot.catalogue.version != ""
    first = told["candidates"][0]
    assert 0 < first["expected_cost"] < first["max_cost"]
    assert first["pricing"] == {"prompt": "0.5", "completion": "0.5", "request": "0"}
    assert "Секретный" not in answer.content.decode()


def test_a_plan_costs_nothing_and_leaves_no_trace(here):
    client = make_client(balance="5")

    plan(headers=headers(client))

    assert Account.objects.get(client=client).balance == 5_000_000
    assert not client.generations.exists()


def test_auto_tells_what_it_took_the_task_for_and_why(here):
    messages = [{"role": "user", "content": "Реши уравнение x^2 - 5x + 6 = 0"}]

    told = plan({"model": "xrouter/auto", "messages": messages}).json()["data"]

    assert told["task"] == "math"
    assert "слово: уравнени…" in told["cues"]


def test_auto_is_planned_with_its_scores(here):
    told = plan({**CHAT, "model": "xrouter/auto"}).json()["data"]

    assert (told["strategy"], told["task"]) == ("auto", "chat")
    assert set(told["candidates"][0]["score"]) == {"total", "quality", "price", "speed", "health"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({**CHAT, "model": "nobody/knows"}, 404, "model_not_found"),
        ({"model": "family/pro"}, 400, "invalid_request"),
        ({**CHAT, "provider": {"sort": "beauty"}}, 400, "invalid_request"),
    ],
)
def test_a_plan_is_refused_as_the_request_itself_would_be(here, body, status, kind):
    answer = plan(body)

    assert (answer.status_code, answer.json()["error"]["metadata"]["error_type"]) == (status, kind)


def test_plans_are_limited_by_client_whichever_key_asks(here, monkeypatch):
    # Without Redis a process goes by its share of a limit.
    monkeypatch.setattr(admission, "LOOKS", Limits(requests_per_minute=2 * settings.XROUTER_WORKERS))
    client, other = make_client(), make_client()

    answers = [plan(headers=headers(client)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert plan(headers=headers(other)).status_code == 200


def test_a_plan_is_for_those_with_a_key(here):
    assert plan(headers={}).status_code == 401


def test_others_decisions_do_not_exist(here):
    mine = make_generation(romashka())
    their = headers(eve().clients.get())

    answer = Browser().get(f"/v1/generation/route?id=gen-{mine.id.hex}", headers=their)

    assert answer.status_code == 404


def test_a_decision_that_was_not_kept_is_none(here):
    mine = make_generation(romashka())

    answer = Browser().get(f"/v1/generation/route?id=gen-{mine.id.hex}", headers=headers(mine.client))

    assert (answer.status_code, answer.json()["error"]["metadata"]["error_type"]) == (
        404,
        "generation_not_found",
    )


def statuses() -> dict[str, Any]:
    answer = Browser().get("/v1/providers/status")
    assert answer.status_code == 200
    return answer.json()["data"]


def test_the_status_of_providers_is_for_everybody(here):
    assert set(statuses()) == {"a", "b", "keyless"}
    assert set(statuses()["a"]) == {"status", "latency", "success_rate", "last_updated"}


def test_who_cannot_be_asked_is_down(here):
    Endpoint.objects.filter(provider__slug="b").update(circuit="open")

    told = statuses()

    assert {slug: each["status"] for slug, each in told.items()} == {
        "a": "operational",
        "b": "down",
        "keyless": "down",
    }


@pytest.mark.parametrize(
    ("failures", "attempts", "expected"), [(0, 10, "operational"), (2, 10, "degraded"), (9, 10, "down")]
)
def test_a_status_goes_by_what_became_of_requests(here, failures, attempts, expected):
    number = here._snapshot.catalogue.find("family/pro").routes[0].endpoint_id
    for turn in range(attempts):
        kind = "" if turn % attempts >= failures else "Broken"
        here.health.record(Outcome(number, kind, first_token=None if kind else 0.2, duration=0.2))
    here.health._renew_all()

    told = statuses()["a"]

    assert told["status"] == expected
    assert told["success_rate"] == pytest.approx(1 - failures / attempts)
    assert told["latency"] == pytest.approx(200, rel=0.06)
    assert told["last_updated"]


@pytest.mark.parametrize(("ok", "expected"), [(True, "operational"), (False, "down")])
def test_a_provider_nobody_asks_goes_by_its_probes(here, ok, expected):
    Probe.objects.create(provider=Provider.objects.get(slug="b"), ok=ok, latency_ms=42.0, at=timezone.now())

    told = statuses()["b"]

    assert (told["status"], told["latency"]) == (expected, 42.0 if ok else None)


def test_endpoints_of_a_model_are_shown_with_what_they_can_do(here):
    answer = Browser().get("/v1/models/family/pro/endpoints")

    told = answer.json()["data"]
    assert (answer.status_code, told["id"]) == (200, "family/pro")
    assert {each["provider"] for each in told["endpoints"]} == {"a", "b", "keyless"}
    first = told["endpoints"][0]
    assert first["pricing"]["prompt"] == "0.5"
    assert (first["circuit"], first["uptime_last_5m"], first["latency_last_5m"]) == ("closed", None, None)


@pytest.mark.parametrize("name", ["nobody/knows", "a%0Ab", "%0A"])
def test_endpoints_of_a_model_nobody_has_are_none(here, name):
    answer = Browser().get(f"/v1/models/{name}/endpoints")

    assert answer.status_code == 404
    assert answer.json()["error"]["metadata"]["error_type"] == "model_not_found"
