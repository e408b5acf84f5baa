"""What people agree to at sign-up: texts in ``docs/legal``, a file for each version and language.

A version is named by its date and never changed again: what somebody agreed to stays what it was. A new text
is a new file; from then on it is the one that is shown and agreed to. Knows no request and no model.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.db import models
from django.utils.translation import gettext_lazy as _
from markdown_it import MarkdownIt

DIRECTORY = Path(__file__).parent.parent / "docs" / "legal"
LANGUAGES = ("ru", "en")
# Stands in the texts for whoever runs the installation.
OPERATOR = "{operator}"

_FILE = re.compile(r"^(?P<document>[a-z-]+)-(?P<version>\d{4}-\d{2}-\d{2})\.md$")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class Document(models.TextChoices):
    PERSONAL_DATA = "personal-data", _("согласие на обработку персональных данных")
    TERMS = "terms", _("условия использования")


@dataclass(frozen=True)
class Agreement:
    document: str
    version: str
    title: str
    html: str


def versions(document: str) -> list[str]:
    """Of one document, the newest first."""
    return sorted(_versions().get(document, ()), reverse=True)


def current(document: str) -> str:
    return versions(document)[0]


def find(document: str, version: str, language: str, operator: str) -> Agreement | None:
    """The text, in Russian where the language is none of ours; None if there is no such version."""
    if version not in versions(document):
        return None
    spoken = language if language in LANGUAGES else LANGUAGES[0]
    text = _read(document, version, spoken).replace(OPERATOR, operator)
    title = _TITLE.search(text)
    return Agreement(document, version, title[1] if title else document, _markdown().render(text))


@cache
def _versions() -> dict[str, tuple[str, ...]]:
    """Those that there are in every language."""
    names = [{path.name for path in (DIRECTORY / language).glob("*.md")} for language in LANGUAGES]
    found: dict[str, tuple[str, ...]] = {}
    for match in filter(None, map(_FILE.match, set.intersection(*names))):
        found[match["document"]] = (*found.get(match["document"], ()), match["version"])
    return found


@cache
def _read(document: str, version: str, language: str) -> str:
    return (DIRECTORY / language / f"{document}-{version}.md").read_text(encoding="utf-8")


@cache
def _markdown() -> MarkdownIt:
    # Tags in a text are text.
    return MarkdownIt("commonmark", {"html": False})
