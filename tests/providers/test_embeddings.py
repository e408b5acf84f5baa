"""Every folder below ``embeddings`` is a test: what the vendor is sent, what it answers, what that means.

The files are those of recorded chats (fixtures/README.md); ``response.json`` has the vectors, their width and
the tokens.
"""

import copy
import json
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import errors
from providers.adapters import ADAPTERS
from providers.errors import Broken, Misconfigured, UpstreamError
from providers.vectors import answered
from providers.wire import Target, UpstreamResponse
from tests.providers.test_fixtures import USUAL_TARGET

ROOT = Path(__file__).parent / "embeddings"
FOLDERS = sorted(ROOT.glob("*/*"))
KNOWN = {"request", "target", "upstream_request", "upstream_response", "response", "error"}


def name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def read(folder: Path, file: str) -> Any:
    path = folder / f"{file}.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def target_of(folder: Path) -> Target:
    values = USUAL_TARGET | (read(folder, "target") or {})
    return Target(**values | {"features": frozenset(values["features"])})


def answer_in(folder: Path) -> UpstreamResponse:
    recorded = read(folder, "upstream_response")
    status = recorded.get("upstream_status", 200)
    body = recorded["body"] if "upstream_status" in recorded else recorded
    return UpstreamResponse(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_the_vendor_is_asked_as_recorded(folder: Path):
    asked, wanted = read(folder, "request"), read(folder, "upstream_request")
    before = copy.deepcopy(asked)

    sent = ADAPTERS[folder.parent.name].embeddings_request(asked, target_of(folder))

    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert {path.stem for path in folder.iterdir()} <= KNOWN
    assert (sent.method, sent.url, json.loads(sent.body)) == ("POST", wanted["url"], wanted["body"])
    assert {name: headers.get(name.lower()) for name in wanted["headers"]} == wanted["headers"]
    assert asked == before, "the adapter changed the request it was given"


@pytest.mark.parametrize("folder", [f for f in FOLDERS if read(f, "response")], ids=name)
def test_the_answer_is_read_as_recorded(folder: Path):
    vectors = ADAPTERS[folder.parent.name].embeddings(answer_in(folder), read(folder, "request"))

    assert asdict(vectors) == read(folder, "response")


@pytest.mark.parametrize("folder", [f for f in FOLDERS if read(f, "error")], ids=name)
def test_what_is_no_answer_is_an_error(folder: Path):
    adapter, answer = ADAPTERS[folder.parent.name], answer_in(folder)

    with pytest.raises(UpstreamError) as caught:
        if answer.status != 200:
            raise adapter.failure(answer)
        adapter.embeddings(answer, read(folder, "request"))

    assert type(caught.value) is getattr(errors, read(folder, "error")["type"])


@pytest.mark.parametrize("wire", sorted(ADAPTERS))
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "embedding", "index", "usage", "error", "result", "numTokens"]),
                inner,
            )
        ),
    )
)
def test_nothing_but_our_errors_comes_of_nonsense(wire: str, body: Any):
    response = UpstreamResponse(200, {}, json.dumps(body).encode())

    with pytest.raises(UpstreamError):
        ADAPTERS[wire].embeddings(response, {"input": ["a", "b"]})


@pytest.mark.parametrize(
    ("wire", "wanted", "size"),
    [
        ("yandexgpt", None, 1),
        ("yandexgpt", 5, 1),
        ("openai", None, 128),
        ("openai", 32, 32),
        ("gigachat", 9, 9),
    ],
)
def test_an_operator_may_say_that_fewer_texts_go_at_once(wire: str, wanted: int | None, size: int):
    target = Target(base_url="", model="", options={"texts_at_once": wanted} if wanted else {})

    assert ADAPTERS[wire].texts_at_once(target) == size


def test_yandex_without_a_folder_is_not_asked():
    with pytest.raises(Misconfigured):
        ADAPTERS["yandexgpt"].embeddings_request({"input": ["a"]}, Target(base_url="", model="text-search"))


@given(numbers=st.lists(st.floats(-(2**126), 2**126, width=32), min_size=1, max_size=50))
def test_base64_and_back_is_the_same(numbers: list[float]):
    packed = answered([numbers], {"input": ["a"], "encoding_format": "base64"}, None)

    back = answered(packed.vectors, {"input": ["a"]}, None)

    assert (back.vectors, back.width) == ([numbers], len(numbers))


@pytest.mark.parametrize("form", ["base64", "float"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e300, 3e38])
@pytest.mark.parametrize("is_packed", [False, True])
def test_numbers_that_are_none_are_refused_in_every_form(form: str, number: float, is_packed: bool):
    numbers = [0.5, number]
    if is_packed and abs(number) != 1e300:
        raw: Any = b64encode(pack("<2f", *numbers)).decode()
    else:
        raw = numbers

    with pytest.raises(Broken):
        answered([raw], {"input": ["a"], "encoding_format": form}, None)
