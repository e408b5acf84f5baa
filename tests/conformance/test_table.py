"""The page tells what came of the cells: what works, what does not and why, what is not there."""

from datetime import date

from tests.conformance.features import ANYWHERE
from tests.conformance.table import Cell, Name, page

CLIENTS = {"one": Name("Client One", "one 1.0"), "two": Name("Client Two", "two 2.0")}
CELLS = {
    ("one", "chat", "gigachat/pro"): Cell("passed"),
    ("one", "tool", "gigachat/pro"): Cell("failed", "no `call` came"),
    ("one", "reasoning", "gigachat/pro"): Cell("skipped"),
    ("two", "retry", ANYWHERE.model): Cell("passed"),
}


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the rows that begin with ``first``."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines]


def test_a_row_has_the_mark_of_each_cell():
    told = page(CELLS, CLIENTS, date(2026, 11, 28))

    assert rows(told, "A chat") == [["✓", "", "", "", "", ""]]
    assert rows(told, "A tool is called") == [["✗", "", "", "", "", ""]]
    assert rows(told, "`reasoning_effort`, and the thoughts apart from the answer") == [["–"] + [""] * 5]
    assert rows(told, "After a provider's 503 the client tries again and is answered") == [["", "✓"]]


def test_the_summary_counts_what_was_tried():
    told = page(CELLS, CLIENTS, date(2026, 11, 28))

    assert rows(told, "Client One") == [["1 of 2", *["0 of 0"] * 5]]


def test_what_fails_is_told_with_its_complaint():
    assert "- Client One, gigachat/pro, A tool is called: `no 'call' came`" in page(
        CELLS, CLIENTS, date(2026, 11, 28)
    )


def test_what_is_known_to_fail_is_told_with_its_reason():
    cells = {("one", "tool", "gigachat/pro"): Cell("known", "it has no tools")}

    told = page(cells, CLIENTS, date(2026, 11, 28))

    assert "- gigachat/pro, A tool is called, with every client: it has no tools." in told
    assert rows(told, "A tool is called") == [["✗", *[""] * 5]]


def test_day_and_versions_are_told():
    assert "Made on 2026-11-28 with one 1.0, two 2.0." in page({}, CLIENTS, date(2026, 11, 28))
