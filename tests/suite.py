"""The whole suite: first what may share the machine, in several processes, then what counts moments, alone.

With arguments it is pytest with these arguments, in one process.
"""

import sys
from pathlib import Path

import pytest

# Of the tests of whole installations, those that wait for answers and count no seconds.
PATIENT = {
    "tests/e2e/test_abuse_bodies.py",
    "tests/e2e/test_abuse_content.py",
    "tests/e2e/test_abuse_keys.py",
    "tests/e2e/test_abuse_tenants.py",
    "tests/e2e/test_account.py",
    "tests/e2e/test_capabilities.py",
    "tests/e2e/test_completions.py",
    "tests/e2e/test_guides.py",
    "tests/e2e/test_openai_node.py",
    "tests/e2e/test_openai_python.py",
    "tests/e2e/test_parameters.py",
    "tests/e2e/test_promised.py",
    "tests/e2e/test_reasoning.py",
    "tests/e2e/test_refusals.py",
    "tests/e2e/test_routes.py",
    "tests/e2e/test_tool_rules.py",
    "tests/e2e/test_who_pays.py",
}
# Bounds that a busy machine would break, and what makes the one Redis refuse.
ALONE = [
    *sorted({path.as_posix() for path in Path("tests/e2e").glob("test_*.py")} - PATIENT),
    "tests/billing/test_windows.py",
    "tests/monitoring/test_health.py",
    "tests/providers/test_tokens.py",
    "tests/providers/twins/test_server.py",
]
# A database for each takes as long to make as a hundred tests take.
MOST_PROCESSES = 4
# A file stays in one process, which makes its fixtures once.
TOGETHER = [
    *("-n", "logical", f"--maxprocesses={MOST_PROCESSES}", "--dist=loadfile", "--no-loadscope-reorder"),
    *(f"--ignore={path}" for path in ALONE),
]


def main(arguments: list[str]) -> int:
    if arguments:
        return pytest.main(arguments)
    together = pytest.main(TOGETHER)
    if together == pytest.ExitCode.INTERRUPTED:
        return together
    return max(together, pytest.main(ALONE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
