"""Every variable that settings and the start command read is explained in .env.example."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = (ROOT / ".env.example").read_text()
READERS = ("xrouter/settings.py", "xrouter/run.py", "providers/environment.py")
# env.str("NAME"…), environment.get("NAME"…), url_in(environment, "NAME"), _number(environment, "NAME", …
READING = re.compile(r"""(?:env(?:\.\w+)?\(|environment\.get\(|environment, )\s*"([A-Z][A-Z_]+)""")


def variables(path: str) -> list[str]:
    return sorted(set(READING.findall((ROOT / path).read_text())))


@pytest.mark.parametrize("path", READERS)
def test_readers_read_something(path: str) -> None:
    assert len(variables(path)) > 3


@pytest.mark.parametrize("name", [name for path in READERS for name in variables(path)])
def test_a_variable_has_its_line(name: str) -> None:
    assert re.search(rf"^#?{name}=", EXAMPLE, re.MULTILINE)


def test_no_line_sets_anything() -> None:
    set_lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]

    assert set_lines == []
