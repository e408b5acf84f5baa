"""Every variable that settings and the start command read is explained in .env.example."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import environ
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


@pytest.mark.parametrize(
    ("https", "said", "is_needed"),
    [
        ("1", None, True),
        ("0", None, False),
        (None, None, False),
        ("1", "0", False),
        ("0", "1", True),
    ],
)
def test_staff_need_a_second_factor_where_there_is_https_unless_it_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, https: str | None, said: str | None, is_needed: bool
) -> None:
    for name, value in {"XROUTER_HTTPS": https, "XROUTER_STAFF_SECOND_FACTOR": said}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    read = runpy.run_path(str(ROOT / "xrouter/settings.py"), run_name="xrouter.settings")

    assert read["XROUTER_STAFF_SECOND_FACTOR"] is is_needed


@pytest.mark.parametrize(
    ("https", "said", "is_open"), [("1", None, False), ("0", None, True), ("1", "1", True), ("0", "0", False)]
)
def test_sign_up_is_closed_where_there_is_https_unless_it_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, https: str, said: str | None, is_open: bool
) -> None:
    monkeypatch.setenv("XROUTER_HTTPS", https)
    monkeypatch.delenv("XROUTER_SIGN_UP", raising=False)
    if said is not None:
        monkeypatch.setenv("XROUTER_SIGN_UP", said)

    read = runpy.run_path(str(ROOT / "xrouter/settings.py"), run_name="xrouter.settings")

    assert read["XROUTER_SIGN_UP"] is is_open


def test_an_address_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XROUTER_PUBLIC_URL", "xrouter.example")

    with pytest.raises(environ.ImproperlyConfigured):
        runpy.run_path(str(ROOT / "xrouter/settings.py"), run_name="xrouter.settings")


SAFE = {"XROUTER_HTTPS": "1", "XROUTER_SECRET_KEY": "abcdefghij" * 5}


@pytest.mark.parametrize(
    ("name", "value", "is_safe"),
    [
        ("XROUTER_ALLOWED_HOSTS", "router.example", True),
        ("XROUTER_ALLOWED_HOSTS", "router.example,*", False),
        ("XROUTER_DEBUG", "1", False),
        ("XROUTER_SECRET_KEY", "change-me", False),
        ("XROUTER_SECRET_KEY", "a" * 60, False),
    ],
)
def test_what_gives_something_away_does_not_start_where_there_is_https(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, is_safe: bool
) -> None:
    for each, said in {**SAFE, name: value}.items():
        monkeypatch.setenv(each, said)

    if is_safe:
        runpy.run_path(str(ROOT / "xrouter/settings.py"), run_name="xrouter.settings")
        return
    with pytest.raises(environ.ImproperlyConfigured, match=name):
        runpy.run_path(str(ROOT / "xrouter/settings.py"), run_name="xrouter.settings")


def test_django_finds_nothing_to_complain_of_where_there_is_https() -> None:
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={**os.environ, **SAFE},
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr


def test_no_line_sets_anything() -> None:
    set_lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]

    assert set_lines == []
