"""The signature of a webhook, checked as the guide tells its readers to check it."""

import json
import subprocess
from typing import Any

import pytest

from billing.webhooks import signature
from tests.guides import samples

SECRET, BODY, AT = "whsec_Ab3", '{"client": {"name": "Ромашка"}}'.encode(), 1_795_926_290
GOOD = signature(SECRET, BODY, AT)
# What is asked, and whether the message is ours: secret, header, body, the clock.
ASKED = {
    "ours": ((SECRET, GOOD, BODY, AT + 299), True),
    "of another secret": (("whsec_Ab4", GOOD, BODY, AT), False),
    "with another body": ((SECRET, GOOD, BODY + b" ", AT), False),
    "sent again later": ((SECRET, GOOD, BODY, AT + 301), False),
    "with a fresher time": ((SECRET, GOOD.replace(f"{AT}", f"{AT + 1}"), BODY, AT), False),
    "with half a signature": ((SECRET, GOOD[:-32], BODY, AT), False),
    "without one": ((SECRET, f"t={AT}", BODY, AT), False),
    "with nothing": ((SECRET, "", BODY, AT), False),
}


@pytest.fixture(scope="module")
def in_python() -> Any:
    given: dict[str, Any] = {}
    for sample in samples("python"):
        if "en/notifications" in sample.name:
            exec(compile(sample.code, sample.name, "exec"), given)  # noqa: S102 (our own words)
    return given["is_ours"]


@pytest.mark.parametrize(("asked", "is_ours"), ASKED.values(), ids=ASKED.keys())
def test_the_guides_python_knows_what_is_ours(in_python: Any, asked: tuple[Any, ...], is_ours: bool) -> None:
    assert in_python(*asked) is is_ours


def test_the_guides_javascript_agrees(tmp_path) -> None:
    code = next(s.code for s in samples("javascript") if "en/notifications" in s.name)
    (tmp_path / "ours.mjs").write_text(code)
    asked = [[secret, header, body.decode(), now] for (secret, header, body, now), _ in ASKED.values()]
    script = f'import {{ isOurs }} from "./ours.mjs"; const asked = {json.dumps(asked)};'
    script += "console.log(JSON.stringify(asked.map((each) => isOurs(...each))));"
    (tmp_path / "ask.mjs").write_text(script)

    answer = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert json.loads(answer.stdout) == [is_ours for _asked, is_ours in ASKED.values()]


def test_both_guides_show_the_same_check() -> None:
    codes = [s.code.partition("\n\n\nprint")[0] for s in samples("python") if "/notifications" in s.name]

    assert len(codes) == 2 and codes[0] == codes[1]
