"""One pass of schemathesis over the published schema: what it asks, what is checked, what is counted."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

SLOWEST = 5.0  # seconds for a whole reply
# What is said of providers and of ourselves when we are short of something; 500 is a bug.
HONEST = ["2xx", "3xx", "4xx", "502", "503", "504"]
CHECKS = {
    "not_a_server_error": {"expected-statuses": HONEST},
    "max_response_time": SLOWEST,
}
ERROR = {"message", "type", "param", "code", "metadata"}


@schemathesis.check
def enveloped(ctx: Any, response: Any, case: Any) -> None:
    """Every refusal is in the one envelope, and names the request."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    assert "json" in str(response.headers.get("content-type")), response.content[:200]
    error = json.loads(response.content)["error"]
    assert set(error) == ERROR
    assert error["code"] == response.status_code
    assert error["metadata"]["request_id"] == response.headers["x-request-id"][0]


class Keys:
    """Authentication with one of several keys after the other."""

    keys: Iterator[str]

    def get(self, case: Any, ctx: Any) -> str:
        return next(self.keys)

    def set(self, case: Any, data: str, ctx: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@dataclass
class Tally:
    """What came of a pass."""

    cases: Counter[str] = field(default_factory=Counter)  # by phase
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)  # by kind: how to see it again
    errors: list[str] = field(default_factory=list)  # of the tool itself
    slowest: float = 0.0
    by: dict = field(default_factory=dict)


def fuzzed(root: str, keys: Sequence[str], *, seed: int, examples: int, workers: int = 1) -> Tally:
    """Ask all operations of the installation at ``root``; without ``keys``, as nobody."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": root,
            "workers": workers,
            "request-timeout": 30,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "suppress-health-check": ["all"],
            "checks": CHECKS,
            "output": {"sanitization": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_url(f"{root}/v1/openapi.json", config=config)
    if keys:
        schema.auth(refresh_interval=None)(type("Ours", (Keys,), {"keys": cycle(keys)}))
    tally = Tally()
    for event in from_schema(schema).execute():
        note(tally, event)
    return tally


def note(tally: Tally, event: Any) -> None:
    if isinstance(event, events.NonFatalError):
        tally.errors.append(f"{event.label}: {event.info.format()}")
    if isinstance(event, events.FatalError):
        raise event.exception
    if not isinstance(event, events.ScenarioFinished):
        return
    for name, interaction in event.recorder.interactions.items():
        tally.cases[event.phase] += 1
        case = event.recorder.cases[name].value
        mode = case.meta.generation.mode.value if case.meta else "?"
        st = interaction.response.status_code if interaction.response else 0
        tally.by.setdefault((event.phase.value, case.operation.label, mode), Counter())[st] += 1
        if interaction.response is None:
            tally.failures.setdefault("no reply", []).append(event.recorder.label)
            continue
        tally.statuses[interaction.response.status_code] += 1
        tally.slowest = max(tally.slowest, interaction.response.elapsed)
        for check in event.recorder.checks.get(name, ()):
            if check.failure_info is not None:
                found = check.failure_info
                told = f"{found.failure.message}\n{found.code_sample}\n{interaction.response.content[:600]!r}"
                tally.failures.setdefault(f"{check.name}: {event.recorder.label}", []).append(told)
