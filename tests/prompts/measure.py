"""Asks the sixty prompts of a server, whole and in streams, and counts what is right."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.e2e.installation import migrated
from tests.prompts.prompts import GOOD, Json, Prompt, prompts

WIRES = ("gigachat", "yandexgpt", "mts-ai", "gen-t", "openai")
# An order to twins that goes with each prompt -> what it makes of them. Seeds are arbitrary, and stay.
MANNERS = {"": "аккуратная", "[[sloppy=1]]": "небрежная, 1", "[[sloppy=2]]": "небрежная, 2"}
AT_ONCE = 8
PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Server:
    base_url: str
    key: str = field(repr=False)


@contextmanager
def served(home: Path) -> Iterator[Server]:
    """An installation of its own, with twins and the models of ``stage``."""
    with migrated(home) as installation:
        twins = installation.start_twins("twins")
        installation.run(["-m", "tests.prompts.stage", twins.url])
        said = installation.manage(
            *("create_key", "--client", "Ромашка", "--label", "prompts", "--plan", "paid"),
            *("--balance", "100000", "--json"),
        )
        web = installation.start_web("web")
        yield Server(web.base_url, json.loads(said)["key"])


def verdicts(server: Server, model: str, manner: str, *, is_streamed: bool) -> list[tuple[Prompt, str]]:
    """What became of each prompt."""
    asked = prompts()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(partial(_verdict, server, model, manner, is_streamed), asked)
        return list(zip(asked, told, strict=True))


def _verdict(server: Server, model: str, manner: str, is_streamed: bool, prompt: Prompt) -> str:
    request = {**prompt.request(model, manner), "stream": is_streamed}
    answer = requests.post(
        f"{server.base_url}/chat/completions",
        json=request,
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=PATIENCE,
    )
    if answer.status_code != 200:
        return f"ошибка {answer.status_code}"
    if not is_streamed:
        return prompt.verdict(answer.json()["choices"][0]["message"])
    message = _collected(answer.content.decode())
    return prompt.verdict(message) if message else "поток оборвался"


def _collected(stream: str) -> Json | None:
    """The message that a stream told; None if it broke off."""
    if "data: [DONE]" not in stream.splitlines():
        return None
    message: Json = {"content": "", "tool_calls": []}
    for line in stream.splitlines():
        if not line.startswith("data: {"):
            continue
        chunk = json.loads(line.removeprefix("data: "))
        if "error" in chunk:
            return None
        for choice in chunk["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            _add_calls(message["tool_calls"], choice["delta"].get("tool_calls") or ())
    return message


def _add_calls(calls: list[Json], fragments: Sequence[Json]) -> None:
    for fragment in fragments:
        if fragment["index"] == len(calls):
            calls.append({"id": fragment["id"], "function": dict(fragment["function"])})
        else:
            calls[fragment["index"]]["function"]["arguments"] += fragment["function"]["arguments"]


def share(told: Sequence[tuple[Prompt, str]], kind: str) -> float:
    """Of the prompts of one kind, how many were answered well, in percent."""
    mine = [verdict for prompt, verdict in told if prompt.kind == kind]
    return 100 * mine.count(GOOD) / len(mine)


def row(told: Sequence[tuple[Prompt, str]]) -> dict[str, Any]:
    """The shares of both kinds, and what went wrong how often."""
    wrong = Counter(verdict for _, verdict in told if verdict != GOOD)
    return {kind: share(told, kind) for kind in ("calls", "answers")} | {"wrong": wrong}
