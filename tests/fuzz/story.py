"""One story of schemathesis: who asks all the operations of an installation, and what came of it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import requests
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.fuzz import checks  # noqa: F401 - registers them

SLOWEST = 5.0  # seconds for a whole reply
PHASES = ("examples", "coverage", "fuzzing", "stateful")
# What is said of providers, and of ourselves when we are short of something. 500 is a bug.
HONEST = ["2xx", "3xx", "4xx", "502", "503", "504"]
CHECKS = {
    "not_a_server_error": {"expected-statuses": HONEST},
    # ``told_why`` in its place: not every rule between fields can be told in a schema.
    "positive_data_acceptance": {"enabled": False},
    "max_response_time": SLOWEST,
}
ROUND = 1_000_003  # between the seeds of the rounds of one story


@dataclass(frozen=True)
class Visitor:
    """Who asks, with one of the ``keys`` after the other. Without keys, with what the tool makes up."""

    keys: Sequence[str] = ()
    is_let_in: bool = True
    managing: Sequence[str] = ()  # for what is done to keys, where the others open nothing


@dataclass
class Tally:
    """What came of a story."""

    cases: Counter[str] = field(default_factory=Counter)  # by phase
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)  # by kind
    told: list[str] = field(default_factory=list)  # each failure once, and how to see it again
    slowest: float = 0.0
    asked: set[str] = field(default_factory=set)  # operations
    opened: set[str] = field(default_factory=set)  # those of them that did what they are there for

    @property
    def total(self) -> int:
        return self.cases.total()

    def failed(self, kind: str, how: str) -> None:
        self.failures[kind] += 1
        if self.failures[kind] <= 3:
            self.told.append(f"{kind}: {how}")


def told(
    root: str, visitor: Visitor, *, seed: int, cases: int, examples: int, phases: Sequence[str] = PHASES
) -> Tally:
    """At least so many ``cases``, with up to ``examples`` for an operation and a round."""
    tally = Tally()
    published = strict(requests.get(f"{root}/v1/openapi.json", timeout=30).json())
    while True:
        _ask(tally, published, visitor, settings(root, seed, examples, phases))
        if tally.total >= cases:
            return tally
        seed += ROUND
        phases = ("fuzzing", "stateful")  # what has no chance in it is not repeated


def settings(root: str, seed: int, examples: int, phases: Sequence[str]) -> dict[str, Any]:
    """As in ``schemathesis.toml``."""
    return {
        "seed": seed,
        "base-url": root,
        "request-timeout": 30,
        "max-stream-events": 100_000,
        "continue-on-failure": True,
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "phases": {phase: {"enabled": phase in phases} for phase in PHASES},
        "suppress-health-check": ["all"],
        "checks": CHECKS,
    }


def _ask(tally: Tally, published: dict[str, Any], visitor: Visitor, how: dict[str, Any]) -> None:
    config = SchemathesisConfig.from_dict(how)
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(published)), config=config)
    if visitor.keys:
        schema.auth(refresh_interval=None)(_provider(visitor.keys, visitor.managing or visitor.keys))
    for event in from_schema(schema).execute():
        _note(tally, event, visitor)


def strict(published: dict[str, Any]) -> dict[str, Any]:
    """The schema, by which answers have no member that is not declared."""
    schema = json.loads(json.dumps(published))
    shapes = schema["components"]["schemas"]
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    asked = _reached(shapes, [operation.get("requestBody") for operation in operations])
    for name, shape in shapes.items():
        # What an event has beside its data is the wire's.
        if name not in asked and "properties" in shape and not name.endswith("Event"):
            shape["additionalProperties"] = False
    return schema


def _reached(shapes: dict[str, Any], value: Any) -> set[str]:
    """The names of the components that ``value`` points to, itself or through others."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        match waiting.pop():
            case {"$ref": str(pointer)}:
                name = pointer.rpartition("/")[2]
                if name not in found:
                    found.add(name)
                    waiting.append(shapes[name])
            case dict(inner):
                waiting.extend(inner.values())
            case list(inner):
                waiting.extend(inner)
    return found


def _provider(keys: Sequence[str], managing: Sequence[str]) -> type:
    """The tool's authentication with one key after the other: limits are each client's own."""
    order, managers = cycle(keys), cycle(managing)

    class Ours:
        def get(self, case: Any, context: Any) -> str:
            return next(managers if case.operation.path.startswith("/v1/keys") else order)

        def set(self, case: Any, key: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {key}"

    return Ours


def _note(tally: Tally, event: Any, visitor: Visitor) -> None:
    match event:
        case events.FatalError():
            raise event.exception
        case events.NonFatalError():
            tally.failed("the tool itself", f"{event.label}: {event.info.format()}")
        case events.ScenarioFinished():
            for name, seen in event.recorder.interactions.items():
                _note_reply(tally, event, name, seen, visitor)


def _note_reply(tally: Tally, event: Any, name: str, seen: Any, visitor: Visitor) -> None:
    tally.cases[event.phase.value] += 1
    operation = event.recorder.cases[name].value.operation
    if seen.response is None:
        tally.failed("no reply", operation.label)
        return
    status = seen.response.status_code
    tally.statuses[status] += 1
    tally.slowest = max(tally.slowest, seen.response.elapsed)
    tally.asked.add(operation.label)
    if status < 300:
        tally.opened.add(operation.label)
    needs_key = {} not in operation.definition.raw["security"]
    if not visitor.is_let_in and status == 200 and needs_key:
        tally.failed("let in", operation.label)
    for check in event.recorder.checks.get(name, ()):
        if check.failure_info is not None:
            found = check.failure_info
            said = seen.response.content[:500]
            tally.failed(
                check.name, f"{operation.label}\n{found.failure.message}\n{found.code_sample}\n{said!r}"
            )
