"""Guides say the same in both languages, their samples parse, and what they name exists."""

import json
import re
import subprocess

import pytest

from routing.bootstrap import read_catalogue
from tests.guides import GUIDES, LANGUAGES, ROOT, Sample, is_there, name, samples
from xrouter import guides

SOURCES = [
    *(
        ROOT.parent.parent / "routing" / module
        for module in ("call.py", "desk.py", "envelope.py", "rates.py")
    ),
    ROOT.parent.parent / "billing" / "webhooks.py",
]
ERRORS = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", (ROOT.parent / "errors.md").read_text(), re.MULTILINE)

HEADING = re.compile(r"^#+ ", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)", re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+)\)")
ADDRESS = re.compile(r"(?<![\w.])/v1/[\w/{}.-]*[\w}]|xrouter\.example(/v1/[\w/-]+)")
MODEL = re.compile(r"\b(?:gigachat|yandexgpt|mts-ai|gen-t|xrouter)/[\w.:-]*\w")
HEADER = re.compile(r"\bx-[a-z]+(?:-[a-z]+)*", re.IGNORECASE)
# A status followed by its code, in a sentence; a row that begins with a status, or with a code.
TOLD = re.compile(r"\b([45]\d\d) `(\w+)`")
ROW = re.compile(r"^\| ([45]\d\d) \| `\w+` \| (.*) \|$", re.MULTILINE)

# What guides name in order to say that it is not there.
ABSENT = {
    *("/v1/responses", "/v1/messages", "/v1/batches", "/v1/files", "/v1/moderations", "/v1/assistants"),
    *("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/images/generations", "/v1/fine_tuning/jobs"),
}
MISSPELT = {"gigachat/por"}
SUFFIXES = (":floor", ":nitro", ":free")
VECTORS = "/v1/embeddings"


def text(path) -> str:
    return path.read_text()


def models() -> set[str]:
    """Every name a model answers to, in small letters."""
    catalogue = read_catalogue()["models"]
    names = {*catalogue, *(alias for model in catalogue.values() for alias in model.get("aliases", ()))}
    return {one.lower() for one in names} | {"xrouter/auto"}


# --- Two languages ---------------------------------------------------------------------------------


def test_both_languages_have_the_same_guides():
    russian, english = ({path.name for path in (ROOT / language).iterdir()} for language in LANGUAGES)

    assert russian == english


@pytest.mark.parametrize("guide", sorted(path.name for path in (ROOT / "ru").iterdir()))
def test_a_guide_has_the_same_build_in_both_languages(guide):
    russian, english = (text(ROOT / language / guide) for language in LANGUAGES)

    assert HEADING.findall(russian) == HEADING.findall(english)
    assert FENCE.findall(russian) == FENCE.findall(english)


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_links_lead_to_files(path):
    assert all((path.parent / link).is_file() for link in LINK.findall(text(path)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_names_every_guide_once(language):
    index = text(ROOT / language / "README.md")

    assert sorted(LINK.findall(index)) == sorted(
        path.name for path in (ROOT / language).iterdir() if path.name != "README.md"
    )


# --- Samples ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", samples("python"), ids=lambda sample: sample.name)
def test_python_compiles(sample: Sample):
    compile(sample.code, sample.name, "exec")


@pytest.mark.parametrize("sample", samples("json"), ids=lambda sample: sample.name)
def test_json_is_json(sample: Sample):
    json.loads(sample.code)


@pytest.mark.parametrize("sample", samples("bash"), ids=lambda sample: sample.name)
def test_bash_parses_and_sends_json(sample: Sample):
    subprocess.run(["bash", "-n"], input=sample.code, text=True, check=True)
    for body in re.findall(r"-d '(.*?)'", sample.code, re.DOTALL):
        json.loads(body)


# --- What is named exists --------------------------------------------------------------------------


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_addresses_are_there(path):
    named = {found.group(1) or found.group(0) for found in ADDRESS.finditer(text(path))} - ABSENT
    if not is_there(VECTORS):
        named -= {VECTORS}

    assert not {address for address in named if not is_there(address)}


@pytest.mark.parametrize("address", sorted(ABSENT))
def test_what_is_said_to_be_absent_is(address):
    assert not is_there(address), "it has come: the guides have to say so"


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_models_are_in_the_catalogue(path):
    if path.stem in {"embeddings", "langchain"} and not is_there(VECTORS):
        pytest.skip("the program has no vectors yet")
    named = {found.lower() for found in MODEL.findall(text(path))} - MISSPELT

    known = models()
    assert not {one for one in named if one not in known and not one.endswith(SUFFIXES)}
    assert {one.rpartition(":")[0] for one in named if one.endswith(SUFFIXES)} <= known


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_headers_are_in_the_program(path):
    source = " ".join(text(module) for module in SOURCES)
    known = {found.lower() for found in HEADER.findall(source)} | {
        f"x-ratelimit-{part}-{kind}"
        for part in ("limit", "remaining", "reset")
        for kind in ("requests", "tokens")
    }

    assert not {found.lower() for found in HEADER.findall(text(path))} - known - {"x-ratelimit"}


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_codes_and_statuses_are_those_of_errors(path):
    told = set(TOLD.findall(text(path)))
    rows = {
        (status, code) for status, cell in ROW.findall(text(path)) for code in re.findall(r"`(\w+)`", cell)
    }

    assert not (told | rows) - set(ERRORS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_codes_of_429_are_those_of_errors(language):
    said = text(ROOT / language / "limits.md").partition("## 429")[2]

    named = set(re.findall(r"^\| `(\w+)` \|", said, re.MULTILINE))

    assert named == {code for status, code in ERRORS if status == "429"}


def test_names_that_readers_make_up_are_not_remembered():
    for number in range(100):
        assert guides.find("ru", f"made-up-{number}") is None

    assert guides._guide.cache_info().currsize <= sum(
        1 + len(guides.entries(each)) for each in guides.LANGUAGES
    )
