"""The guides of ``docs/guides``: which there are, in which order, and what each says. Knows no request."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

DIRECTORY = Path(__file__).parent.parent / "docs" / "guides"
LANGUAGES = ("ru", "en")
INDEX = "README"
# Where the samples say the installation is: readers are shown where it is in truth.
EXAMPLE = "https://xrouter.example"

_ENTRY = re.compile(r"^- \[(?P<title>.+?)\]\((?P<name>[a-z0-9-]+)\.md\): (?P<about>.+)$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_NEIGHBOUR = re.compile(r"^([a-z0-9-]+)\.md$")


@dataclass(frozen=True)
class Entry:
    """One line of an index."""

    name: str
    title: str
    about: str


@dataclass(frozen=True)
class Guide:
    language: str
    name: str
    title: str
    markdown: str

    @property
    def html(self) -> str:
        """What a page shows of it."""
        return _markdown().render(self.markdown, {"language": self.language})


def find(language: str, name: str) -> Guide | None:
    """The guide of that name; none if there is none. ``INDEX`` is a guide, too."""
    if language not in LANGUAGES or name not in {INDEX, *(entry.name for entry in entries(language))}:
        return None
    return _guide(language, name)


@cache
def entries(language: str) -> tuple[Entry, ...]:
    """The guides of a language in the order of its index."""
    return tuple(Entry(**line.groupdict()) for line in _ENTRY.finditer(_read(language, INDEX)))


@cache  # of those that there are: who asks may make up names without end
def _guide(language: str, name: str) -> Guide:
    text = _read(language, name)
    title = _TITLE.search(text)
    return Guide(language, name, title[1] if title else name, text)


def _read(language: str, name: str) -> str:
    return (DIRECTORY / language / f"{name}.md").read_text(encoding="utf-8")


@cache
def _markdown() -> MarkdownIt:
    # Tags in the text are text, so a page has no tag that is not made here.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.core.ruler.push("pages", lambda state: _to_pages(state.tokens, state.env["language"]))
    return parser


def _to_pages(tokens: list[Token], language: str) -> None:
    """Let links to files beside this one lead to their pages."""
    for token in _links(tokens):
        if neighbour := _NEIGHBOUR.match(str(token.attrGet("href"))):
            token.attrSet("href", f"/docs/guides/{language}/{neighbour[1]}/")


def _links(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "link_open":
            yield token
        yield from _links(token.children or [])
