"""The rules of the house that no import contract can express."""

import ast
import re
from pathlib import Path

import pytest

from tests.chaos.__main__ import EVENTS

ROOT = Path(__file__).parent.parent
APPS = ("accounts", "providers", "routing", "billing", "monitoring", "xrouter")
MODULES = [path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
NAMED_FILE = re.compile(
    rf"(?<![\w/.])(?:{'|'.join((*APPS, 'tests', 'docs'))})/[\w./-]+\.(?:py|toml|md|js|sql)\b"
)
LINKED_FILE = re.compile(r"\]\((?!https?:|/|#)([^)#]+)")

# Where the event loop may be: the story, its doors, the transports, what reads Redis on the request's way.
ASYNC = {
    "accounts/doorman.py",
    "providers/tokens.py",
    "providers/transports/aio.py",
    "providers/transports/names.py",
    "billing/courier.py",
    "billing/teller.py",
    "billing/windows.py",
    "monitoring/health.py",
    "routing/bridge.py",
    "routing/contents/listening.py",
    "routing/desk.py",
    "routing/embeddings/story.py",
    "routing/express.py",
    "routing/flow.py",
    "routing/admission.py",
    "routing/attempts.py",
    "routing/gateway.py",
    "routing/lookups.py",
    "routing/slots.py",
    "routing/plane.py",
    "routing/promised/flow.py",
    "routing/promised/inspector.py",
    "routing/promised/promise.py",
    "routing/pulse.py",
    "routing/search.py",
    "routing/stalled.py",
    "routing/turnstile.py",
    "routing/rest.py",
    "xrouter/accepting.py",
    "xrouter/asgi.py",
}
# What looks at transfers with SQL of its own.
READERS_OF_TRANSFERS = ("billing/alerts.py", "billing/invariants.py", "billing/usage_audit.py")
LONGEST_FUNCTION = 60
# A port and a bound that happen to look like statuses.
NO_STATUS = {443, 500}


def name(path):
    return path.relative_to(ROOT).as_posix()


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_way_of_a_request_is_asynchronous(path):
    if name(path) in ASYNC or name(path).startswith("providers/twins/"):
        return

    assert not nodes(path, ast.AsyncFunctionDef), "async def outside the request's way"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_ledger_moves_money(path):
    may = {"billing/ledger.py", *READERS_OF_TRANSFERS}
    if name(path) in may or name(path).startswith(("billing/admin/", "billing/models/")):
        return

    assert "Transfer" not in {node.id for node in nodes(path, ast.Name)}
    assert "billing_transfer" not in path.read_text()


@pytest.mark.parametrize("path", READERS_OF_TRANSFERS)
def test_whoever_reads_transfers_only_reads_them(path):
    text = (ROOT / path).read_text()

    assert not re.search(r"\b(insert\s+into|update|delete\s+from)\s+billing_transfer", text, re.IGNORECASE)
    assert "Transfer" not in {node.id for node in nodes(ROOT / path, ast.Name)}


@pytest.mark.parametrize("path", [path for path in MODULES if name(path).startswith("routing/")], ids=name)
def test_only_the_envelope_knows_statuses_of_errors(path):
    if name(path) == "routing/envelope.py":
        return

    numbers = {node.value for node in nodes(path, ast.Constant) if type(node.value) is int}

    assert not {status for status in numbers - NO_STATUS if 400 <= status <= 599}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_function_is_longer_than_a_screen(path):
    functions = nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)

    assert not [f.name for f in functions if f.end_lineno - f.lineno >= LONGEST_FUNCTION]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is_for(path):
    if path.name in {"apps.py", "__init__.py"}:
        return

    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_documents_name_and_link_files_that_exist(path):
    text = path.read_text()
    named = [ROOT / found for found in NAMED_FILE.findall(text)]
    linked = [path.parent / found for found in LINKED_FILE.findall(text)]

    assert not [file for file in [*named, *linked] if not file.exists()]


@pytest.mark.parametrize("event", EVENTS)
def test_what_the_chaos_counts_in_the_log_is_logged_somewhere(event):
    assert any(f'"{event}"' in module.read_text() for module in MODULES)
