"""The guides as pages."""

import re

import pytest

from tests.guides import GUIDES, LANGUAGES
from xrouter import guides

pytestmark = pytest.mark.django_db  # what operators announce stands above each page

ADDRESSES = [
    f"/docs/guides/{language}/{entry.name}/" for language in LANGUAGES for entry in guides.entries(language)
]
INDEXES = [f"/docs/guides/{language}/" for language in LANGUAGES]


def page(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_every_file_is_a_page():
    assert len(ADDRESSES) + len(INDEXES) == len(GUIDES)


@pytest.mark.parametrize("path", [*INDEXES, *ADDRESSES])
def test_a_page_has_the_frame_and_links_that_lead_somewhere(client, path):
    html = page(client, path)

    links = set(re.findall(r'href="(/docs/[^"]*)"', html))
    assert html.startswith("<!doctype html>")
    assert html.count("<h1>") == 1
    assert not re.search(r"<style|<script|\sstyle=|\son\w+=", html)
    assert {client.get(link, follow=True).status_code for link in links} == {200}
    assert not re.search(r'href="[^"]*\.md"', html)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_frame_speaks_the_language_of_the_address(client, language):
    html = page(client, f"/docs/guides/{language}/tools/")

    assert f'<html lang="{language}">' in html


def test_the_index_leads_to_every_guide(client):
    html = page(client, "/docs/guides/ru/")

    assert all(f'href="{path}"' in html for path in ADDRESSES if path.startswith("/docs/guides/ru/"))


def test_samples_speak_to_the_host_that_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["router.example"]

    answer = client.get("/docs/guides/en/first-request/", headers={"host": "router.example"}, secure=True)

    assert "https://router.example/v1" in answer.content.decode()
    assert "xrouter.example" not in answer.content.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_address_without_a_language_leads_to_the_readers(client, language):
    client.post("/i18n/setlang/", {"language": language, "next": "/"})

    assert client.get("/docs/guides/").url == f"/docs/guides/{language}/"
    assert client.get("/docs/guides/limits/").url == f"/docs/guides/{language}/limits/"


def test_the_choice_of_a_language_leads_to_the_same_guide(client):
    html = page(client, "/docs/guides/en/n8n/")

    back = re.search(r'name="next" value="([^"]+)"', html)[1]
    answer = client.post("/i18n/setlang/", {"language": "ru", "next": back}, follow=True)

    assert answer.request["PATH_INFO"] == "/docs/guides/ru/n8n/"


@pytest.mark.parametrize(
    "path",
    [
        "nothing/",
        "ru/nothing/",
        "fr/tools/",
        "ru/../errors/",
        "en/nothing.md",
        "ru/tools/more/",
        "ru/%2e%2e/",
    ],
)
def test_an_unknown_guide_is_not_found(client, path):
    assert client.get(f"/docs/guides/{path}").status_code == 404


def test_a_guide_can_be_read_as_it_is_written(client):
    answer = client.get("/docs/guides/en/streaming.md")

    assert answer["content-type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode().startswith("# Streaming\n")


@pytest.mark.parametrize("path", ["/", "/docs/"])
def test_the_guides_are_found_from(client, path):
    assert 'href="/docs/guides/"' in page(client, path)


def test_tags_in_a_guide_are_text():
    guide = guides.Guide("en", "x", "x", "<script>alert(1)</script> [x](javascript:alert(1))")

    assert "<script" not in guide.html
    assert "href" not in guide.html


# --- llms.txt ----------------------------------------------------------------------------------------


def test_programs_that_read_are_told_in_the_form_they_expect(client):
    answer = client.get("/llms.txt")
    lines = answer.content.decode().splitlines()

    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert (lines[0], lines[2][:2]) == ("# XRouter", "> ")
    assert [line for line in lines if line.startswith("#")][1:] == [
        "## Guides",
        "## Guides in Russian",
        "## API",
    ]
    listed = lines[lines.index("## Guides") :]
    assert all(re.fullmatch(r"- \[[^]]+\]\(\S+\): .+|## .+|", line) for line in listed)


def test_they_are_told_of_every_guide_and_of_nothing_that_is_not_there(client, db):
    text = page(client, "/llms.txt")

    paths = re.findall(r"\]\(http://testserver(/[^)]*)\)", text)
    assert {path.removesuffix(".md") + "/" for path in paths if path.endswith(".md")} == set(ADDRESSES)
    assert "/v1/openapi.json" in paths
    assert "- Base URL: http://testserver/v1" in text
    assert "made in the dashboard, http://testserver/dashboard/" in text
    assert {client.get(path).status_code for path in paths} == {200}


def test_they_are_told_of_the_host_that_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["router.example"]

    text = client.get("/llms.txt", headers={"host": "router.example"}, secure=True).content.decode()

    assert "- Base URL: https://router.example/v1" in text
    assert "testserver" not in text
