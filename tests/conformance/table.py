"""The page of what came of the cells. Pure: whoever ran them brings the outcomes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tests.conformance.features import ANYWHERE, COLUMNS, COMMON, FEATURES, Column, Feature

MARKS = {"passed": "✓", "failed": "✗", "known": "✗", "skipped": "–"}

HEAD = """\
# Which client gets what, and from whom

`make conformance` makes this page. Each cell is a conversation of a client, as its users install it, with a
running XRouter (web process, PostgreSQL, Redis) over HTTP; the same cells are tests of the suite, in
`tests/conformance`.

**The providers were simulated** by [twins](twins.md), whose wire is built from the vendors' documentation:
the page tells that clients, XRouter and the documented wires fit together, not how well a model answers.

- ✓ works
- ✗ does not; the list at the end tells what came instead
- – the endpoint does not have it, by the word of `GET /v1/models/{id}/capabilities`
- an empty cell: the client has no call for it, or calls it as another client in this table does

Made on """


@dataclass(frozen=True)
class Cell:
    """``outcome`` as pytest has it, or "known" where it fails as it has to; ``complaint``: why, in a line."""

    outcome: str
    complaint: str = ""


@dataclass(frozen=True)
class Name:
    """A client as the page has it."""

    title: str
    version: str


Cells = Mapping[tuple[str, str, str], Cell]  # by (client, feature, model)
Names = Mapping[str, Name]


def page(cells: Cells, clients: Names, day: date) -> str:
    versions = ", ".join(dict.fromkeys(client.version for client in clients.values()))
    parts = [f"{HEAD}{day.isoformat()} with {versions}.\n", *_summary(cells, clients)]
    for name, client in clients.items():
        parts += [f"\n## {client.title}\n", *_by_provider(cells, name)]
    parts += ["\n## Whoever answers\n", "Nobody is asked for these, or it does not matter who.\n"]
    parts += [*_common(cells, clients), "\n## What fails\n", *_failures(cells, clients)]
    return "\n".join(parts) + "\n"


def _summary(cells: Cells, clients: Names) -> Iterator[str]:
    """How many of the cells that are tried work."""
    yield from _head("", [column.title for column in COLUMNS])
    for name, client in clients.items():
        yield _row(client.title, (_share(cells, name, column) for column in COLUMNS))


def _share(cells: Cells, name: str, column: Column) -> str:
    here = [cells.get((name, feature.name, column.model)) for feature in FEATURES]
    outcomes = [cell.outcome for cell in here if cell and cell.outcome != "skipped"]
    return f"{outcomes.count('passed')} of {len(outcomes)}"


def _by_provider(cells: Cells, name: str) -> Iterator[str]:
    yield from _head("", [column.title for column in COLUMNS])
    for feature in FEATURES:
        marks = [_mark(cells, name, feature, column) for column in COLUMNS]
        if any(marks):
            yield _row(feature.title, marks)


def _common(cells: Cells, clients: Names) -> Iterator[str]:
    yield from _head("", [client.title for client in clients.values()])
    for feature in COMMON:
        yield _row(feature.title, (_mark(cells, name, feature, ANYWHERE) for name in clients))


def _failures(cells: Cells, clients: Names) -> Iterator[str]:
    titles = {feature.name: feature.title for feature in FEATURES + COMMON}
    known = {(feature, model): cell for (_, feature, model), cell in cells.items() if cell.outcome == "known"}
    failed = [(where, cell) for where, cell in cells.items() if cell.outcome == "failed"]
    for (feature, model), cell in known.items():
        yield f"- {model}, {titles[feature]}, with every client: {cell.complaint}."
    for (name, feature, model), cell in failed:
        complaint = cell.complaint.replace("`", "'")
        yield f"- {clients[name].title}, {model}, {titles[feature]}: `{complaint}`"
    if not failed:
        yield "\nNothing else." if known else "Nothing."


def _mark(cells: Cells, name: str, feature: Feature, column: Column) -> str:
    cell = cells.get((name, feature.name, column.model))
    return MARKS[cell.outcome] if cell else ""


def _head(corner: str, titles: Sequence[str]) -> Iterator[str]:
    yield _row(corner, titles)
    yield "|---" * (len(titles) + 1) + "|"


def _row(first: str, rest: Iterable[str]) -> str:
    return f"| {' | '.join([first, *rest])} |"
