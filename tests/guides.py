"""The guides as tests read them: their files, their headings and their samples."""

import re
from dataclasses import dataclass
from pathlib import Path

from django.urls import resolve

from routing.views import Nowhere

ROOT = Path(__file__).parent.parent / "docs" / "guides"
LANGUAGES = ("ru", "en")
GUIDES = sorted(ROOT.glob("*/*.md"))

SAMPLE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """One fenced block. ``name`` says where it stands."""

    name: str
    kind: str
    code: str


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def samples(*kinds: str) -> list[Sample]:
    """Samples of these kinds in all guides, in order."""
    return [
        Sample(f"{name(path)}-{number}", kind, code)
        for path in GUIDES
        for number, (kind, code) in enumerate(SAMPLE.findall(path.read_text()))
        if kind in kinds
    ]


def is_there(path: str) -> bool:
    """Whether the program answers at ``path`` below /v1."""
    return getattr(resolve(path).func, "view_class", None) is not Nowhere
