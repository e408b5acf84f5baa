"""What is kept of requests: nothing, unless their client asked for it; then what is its own, and sealed."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import requests

from routing.contents.models import Content
from routing.contents.shelf import opened
from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.talk import PATH, ask, chat, post

TEXT_PATH, VECTORS_PATH = "/v1/completions", "/v1/embeddings"
SOON = 1.0  # seconds in which a change is in force
FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="streamed")]


def new_word() -> str:
    """One that is nowhere else, to be looked for."""
    return f"secret{uuid4().hex}"


@pytest.fixture
def asking(installation: Installation) -> Client:
    """A client that asked for its contents to be kept."""
    return new_client(installation, content_since=datetime.now(UTC))


@pytest.fixture
def other(installation: Installation) -> Client:
    return new_client(installation)


def number(answer: Any) -> UUID:
    return UUID(answer.headers["x-generation-id"].removeprefix("gen-"))


def kept(client: Client) -> dict[UUID, Any]:
    """Questions and answers of a client, opened, by the numbers of generations."""
    rows = client.installation.query("SELECT * FROM routing_content WHERE client_id = %s", client.id)
    return {row["generation"]: opened(Content(**row)) for row in rows}


def leave(server: Server, client: Client, word: str) -> UUID:
    """Hang up in the middle of a stream."""
    body = chat("slow/openai", f"[[tokens=200]][[chunks=50]][[delay_ms=20]]{word}", stream=True)
    headers = {"Authorization": f"Bearer {client.key}"}
    with requests.post(server.root + PATH, json=body, headers=headers, stream=True, timeout=10) as answer:
        next(answer.iter_lines())
        return number(answer)


def all_before(server: Server, marker: Client) -> None:
    """Wait until what was asked before is written: a worker writes in the order of what ended."""
    last = ask(server, marker.key, chat("solo/openai", "последний"))
    assert wait_until(lambda: number(last) in kept(marker))


def words(text: bytes) -> Any:
    return orjson.loads(text)


# Whose and what ---------------------------------------------------------------------------------------


def test_of_two_clients_only_the_one_that_asked_has_all_it_said_and_heard(
    door: Server, asking: Client, other: Client
):
    word = new_word()
    asked: list[tuple[str, dict[str, Any]]] = [
        (PATH, chat("solo/openai", f"[[echo]]{word}", tools=[], user="ivan")),
        (PATH, chat("solo/openai", f"[[echo]]{word}", stream=True)),
        (TEXT_PATH, {"model": "solo/openai", "prompt": f"[[echo]]{word}", "max_tokens": 100}),
        (VECTORS_PATH, {"model": "vectors/alone", "input": [word]}),
    ]
    theirs = {}
    for path, body in asked:
        post(door, other.key, body, path=path)
        post(door, asking.key, {**body, "store": False}, path=path)
        answer = post(door, asking.key, body, path=path)
        assert answer.status_code == 200
        theirs[number(answer)] = (path, body, answer)

    assert wait_until(lambda: kept(asking).keys() == theirs.keys())

    assert not kept(other)
    for generation, content in kept(asking).items():
        path, body, answer = theirs[generation]
        assert words(content.question) == body
        if path == VECTORS_PATH:
            assert content.answer == b""
        elif body.get("stream"):
            assert words(content.answer)["choices"][0]["message"]["content"] == word
        else:
            assert content.answer == answer.content
            assert word in answer.text


@pytest.mark.parametrize("is_streamed", FORMS)
def test_what_went_wrong_is_kept_as_far_as_it_came(door: Server, asking: Client, is_streamed: bool):
    word = new_word()
    broken = ask(
        door,
        asking.key,
        chat("solo/openai", f"[[fault=cut.after=20]][[tokens=200]]{word}", stream=is_streamed),
    )

    assert wait_until(lambda: number(broken) in kept(asking))

    content = kept(asking)[number(broken)]
    assert word in content.question.decode()
    told = words(content.answer)
    assert told["error"] == broken.error
    if is_streamed:
        assert told["choices"][0]["message"]["content"] == broken.text != ""


def test_of_a_stream_whose_customer_leaves_what_went_out_is_kept(door: Server, asking: Client):
    left = leave(door, asking, new_word())

    assert wait_until(lambda: left in kept(asking))
    told = words(kept(asking)[left].answer)["choices"][0]
    assert told["message"]["content"]
    assert told["finish_reason"] is None


# Of everybody else nothing ----------------------------------------------------------------------------


def failing(word: str) -> Iterator[tuple[str, Any]]:
    """Requests that fail, each in another way, with ``word`` in all they say."""
    for fault in ("http_400", "http_503", "secret_echo", "ok_badjson", "cut.after=20", "error_event"):
        for is_streamed in (False, True):
            yield PATH, chat("solo/openai", f"[[fault={fault}]][[tokens=100]]{word}", stream=is_streamed)
    yield PATH, f'{{"messages": "{word}"'.encode()
    yield PATH, chat("solo/openai", word, n=7)
    yield PATH, chat("solo/openai", word, max_tokens=word)
    yield (
        PATH,
        chat("solo/openai", word, response_format={"type": "json_schema", "json_schema": {word: word}}),
    )
    yield PATH, chat("solo/openai", word, tools=[{"type": "function", "function": {"name": f"{word}!"}}])
    yield PATH, {"model": "solo/openai", "messages": [{"role": word, "content": word}]}
    yield PATH, chat("solo/openai", f"{word} " * 60_000)
    yield PATH, chat("nobody/knows", word)
    yield TEXT_PATH, {"model": "solo/openai", "prompt": [word, word]}
    yield TEXT_PATH, {"model": "solo/openai", "prompt": word, "suffix": word}
    yield VECTORS_PATH, {"model": "vectors/alone", "input": [[word]]}
    yield VECTORS_PATH, {"model": "vectors/alone", "input": word, "dimensions": word}


def tables_with(installation: Installation, word: str) -> list[str]:
    names = installation.query("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    found = "SELECT count(*) AS rows FROM \"{}\" t WHERE t::text LIKE '%%' || %s || '%%'"
    return [row["name"] for row in names if installation.query(found.format(row["name"]), word)[0]["rows"]]


def test_whatever_fails_leaves_nothing_of_what_was_said_anywhere(
    installation: Installation, door: Server, asking: Client, other: Client
):
    word = new_word()
    poor = new_client(installation, 0)
    for path, body in failing(word):
        answer = post(door, other.key, body, path=path)
        assert b"[DONE]" in answer.content or not answer.ok, body
    assert post(door, poor.key, chat("solo/openai", word)).status_code == 402
    leave(door, other, word)
    assert wait_until(lambda: other.records(cancelled=True))
    all_before(door, asking)

    assert not kept(other)
    assert not kept(poor)
    assert "accounts_client" in tables_with(installation, other.name)  # it does find
    assert tables_with(installation, word) == []
    assert word not in door.program.said()
    assert word not in requests.get(f"{door.root}/metrics", timeout=5).text


def test_what_is_kept_can_be_read_nowhere_but_through_the_vault(
    installation: Installation, door: Server, asking: Client
):
    word = new_word()
    heard = ask(door, asking.key, chat("solo/openai", f"[[echo]]{word}", stream=True))
    assert wait_until(lambda: number(heard) in kept(asking))

    assert tables_with(installation, word) == []
    assert word not in door.program.said()


def test_where_it_cannot_be_written_it_is_lost_and_the_answer_is_not(
    installation: Installation, express: Server, asking: Client
):
    installation.query("ALTER TABLE routing_content RENAME TO routing_content_away")
    try:
        heard = ask(express, asking.key, chat("solo/openai", f"[[echo]]{(word := new_word())}"))
        assert wait_until(lambda: express.program.events("contents are lost"))
    finally:
        installation.query("ALTER TABLE routing_content_away RENAME TO routing_content")
    all_before(express, asking)

    assert (heard.status, heard.text) == (200, word)
    assert number(heard) not in kept(asking)
    assert word not in express.program.said()
    assert 'xrouter_contents_total{outcome="lost"}' in requests.get(f"{express.root}/metrics", timeout=5).text


# From one moment to the next --------------------------------------------------------------------------


def for_a_second(ask_once: Callable[[], UUID]) -> UUID:
    """The last of the requests that are made one after another for as long as a change may take."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        last = ask_once()
    return last


def test_it_begins_and_ends_within_a_second(workers: Server, asking: Client, other: Client):
    def ask_once() -> UUID:
        return number(ask(workers, other.key, chat("solo/openai", "Привет")))

    ask_once()
    other.change(content_since=datetime.now(UTC))
    for_a_second(ask_once)
    begun = {ask_once() for _ in range(6)}
    assert wait_until(lambda: begun <= kept(other).keys())

    other.change(content_since=None)
    before = kept(other).keys()
    for_a_second(ask_once)
    ended = {ask_once() for _ in range(6)}
    for _ in range(6):  # either worker
        all_before(workers, asking)

    assert kept(other).keys() <= before | begun
    assert not kept(other).keys() & ended
