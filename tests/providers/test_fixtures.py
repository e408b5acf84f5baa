"""Every folder of recorded conversations is a test. The format: fixtures/README.md."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers import errors
from providers.adapters import ADAPTERS
from providers.adapters.base import Adapter
from providers.errors import UpstreamError
from providers.wire import Chunk, Target, UpstreamResponse

ROOT = Path(__file__).parent / "fixtures"
USUAL_TARGET = {
    "base_url": "https://upstream.test/v1",
    "model": "upstream-model",
    "authorization": "Bearer upstream-secret",
    "options": {},
    "features": [],
}
ANSWERS = {"upstream_response.json", "upstream_response.sse", "upstream_response.ndjson"}
OUTCOMES = {"response.json", "chunks.json", "error.json"}
KNOWN = ANSWERS | OUTCOMES | {"request.json", "target.json", "upstream_request.json"}
SIZES = [1, 7, 10_000]


@dataclass(frozen=True)
class Case:
    """One folder, read on demand."""

    folder: Path

    @cached_property
    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    def expected(self, name: str) -> Any:
        return self.json(name) if name in self.files else None

    @cached_property
    def chat(self) -> dict[str, Any]:
        return self.expected("request.json") or {}  # its absence is another test

    @property
    def is_stream(self) -> bool:
        return bool(self.chat.get("stream"))

    @cached_property
    def target(self) -> Target:
        values = USUAL_TARGET | (self.expected("target.json") or {})
        return Target(**values | {"features": frozenset(values["features"])})

    @property
    def adapter(self) -> Adapter:
        """A new one each time: the ids it makes are call_1, call_2, …"""
        numbers = count(1)
        return type(ADAPTERS[self.folder.parent.name])(new_id=lambda: f"call_{next(numbers)}")

    @cached_property
    def answer(self) -> UpstreamResponse | None:
        name = next(iter(ANSWERS & self.files), None)
        if name is None:
            return None
        raw = (self.folder / name).read_bytes()
        return _enveloped(raw) if name.endswith(".json") else UpstreamResponse(200, {}, raw)

    @property
    def streams_to_the_end(self) -> bool:
        return self.is_stream and self.answer is not None and self.answer.status == 200

    def __str__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


def _enveloped(raw: bytes) -> UpstreamResponse:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return UpstreamResponse(200, {}, raw)
    if not isinstance(value, dict) or "upstream_status" not in value:
        return UpstreamResponse(200, {}, raw)
    body = value.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return UpstreamResponse(value["upstream_status"], value.get("headers", {}), text.encode())


CASES = sorted((Case(path) for path in ROOT.glob("*/*") if path.is_dir()), key=str)
STREAMS = [case for case in CASES if case.streams_to_the_end]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
def test_the_folder_is_understood(case: Case) -> None:
    assert case.folder.parent.name in ADAPTERS
    assert case.files <= KNOWN, f"unknown files: {case.files - KNOWN}"
    assert "request.json" in case.files
    assert len(case.files & ANSWERS) <= 1
    assert case.files & OUTCOMES in _outcomes_that_fit(case)
    assert ("upstream_request.json" in case.files) is not _is_refused(case)


def _is_refused(case: Case) -> bool:
    return case.answer is None and "error.json" in case.files


def _outcomes_that_fit(case: Case) -> list[set[str]]:
    if case.answer is None:
        return [set(), {"error.json"}]
    if case.is_stream:
        return [{"chunks.json"}, {"error.json"}, {"chunks.json", "error.json"}]
    return [{"response.json"}, {"error.json"}]


@pytest.mark.parametrize("case", [c for c in CASES if "upstream_request.json" in c.files], ids=str)
def test_the_vendor_is_asked_as_recorded(case: Case) -> None:
    before = copy.deepcopy(case.chat)

    sent = case.adapter.chat_request(case.chat, case.target)

    wanted = case.json("upstream_request.json")
    assert (sent.method, sent.url) == (wanted["method"], wanted["url"])
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert {name: headers.get(name.lower()) for name in wanted["headers"]} == wanted["headers"]
    assert json.loads(sent.body or b"null") == wanted["body"]
    assert case.chat == before, "the adapter changed the chat it was given"


@pytest.mark.parametrize("case", [c for c in CASES if _is_refused(c)], ids=str)
def test_the_chat_is_refused_before_asking(case: Case) -> None:
    before = copy.deepcopy(case.chat)

    failure = _failure(lambda: case.adapter.chat_request(case.chat, case.target))

    _check_failure(case, failure)
    assert case.chat == before, "the adapter changed the chat it was given"


@pytest.mark.parametrize("case", [c for c in CASES if c.answer and not c.streams_to_the_end], ids=str)
def test_the_answer_is_read_as_recorded(case: Case) -> None:
    outcomes: list[Any] = []

    failure = _failure(lambda: outcomes.append(_answer(case)))

    assert outcomes == ([case.json("response.json")] if "response.json" in case.files else [])
    _check_failure(case, failure)


def _answer(case: Case) -> Any:
    answer = case.answer
    assert answer is not None
    if answer.status == 200:
        return case.adapter.chat_completion(answer)
    raise case.adapter.failure(answer)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_the_stream_is_read_as_recorded(case: Case, size: int) -> None:
    chunks: list[Chunk] = []
    recording = case.answer.body if case.answer else b""
    pieces = [recording[at : at + size] for at in range(0, len(recording), size)]

    failure = _failure(lambda: _read(case, pieces, chunks))

    assert chunks == (case.expected("chunks.json") or [])
    _check_failure(case, failure)


def _read(case: Case, pieces: list[bytes], into: list[Chunk]) -> None:
    """As a transport reads. One by one: what came before an error has been delivered."""
    stream = case.adapter.chat_stream()
    for piece in pieces:
        for chunk in stream.feed(piece):
            into.append(chunk)  # noqa: PERF402
        if stream.finished:
            break
    for chunk in stream.end():
        into.append(chunk)  # noqa: PERF402


def _failure(act: Callable[[], object]) -> UpstreamError | None:
    try:
        act()
    except UpstreamError as exc:
        return exc
    return None


def _check_failure(case: Case, failure: UpstreamError | None) -> None:
    wanted = case.expected("error.json")
    if wanted is None:
        if failure is not None:
            raise failure
        return
    assert type(failure) is getattr(errors, wanted["type"]), repr(failure)
    assert str(failure) == wanted.get("said", str(failure))
    assert getattr(failure, "retry_after", None) == wanted.get("retry_after")
    secret = case.target.authorization.rpartition(" ")[2]
    assert not secret or secret not in f"{failure} {failure.detail}"


# Any border, any damage -----------------------------------------------------------------------------


def _outcome(case: Case, pieces: list[bytes]) -> tuple[list[Chunk], type | None]:
    chunks: list[Chunk] = []
    failure = _failure(lambda: _read(case, pieces, chunks))
    return chunks, failure and type(failure)


def _cut(recording: bytes, borders: list[int]) -> list[bytes]:
    at = [0, *sorted(border % (len(recording) + 1) for border in borders), len(recording)]
    return [recording[start:end] for start, end in pairwise(at)]


some_effort = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("case", STREAMS, ids=str)
@some_effort
@given(borders=st.lists(st.integers(0, 100_000), max_size=12))
def test_borders_may_fall_anywhere(case: Case, borders: list[int]) -> None:
    recording = case.answer.body if case.answer else b""

    assert _outcome(case, _cut(recording, borders)) == _outcome(case, [recording])


@pytest.mark.parametrize("case", STREAMS, ids=str)
@some_effort
@given(
    at=st.integers(0, 100_000),
    length=st.integers(0, 40),
    instead=st.one_of(
        st.binary(max_size=20), st.sampled_from([b"null", b"[]", b"{}", b'""', b"-1", b"\n\n"])
    ),
)
def test_a_damaged_stream_raises_nothing_but_upstream_errors(
    case: Case, at: int, length: int, instead: bytes
) -> None:
    recording = case.answer.body if case.answer else b""
    at %= len(recording) + 1
    damaged = recording[:at] + instead + recording[at + length :]

    _outcome(case, [damaged])
