"""A running set of twins, and the questions of each family."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

from providers.twins.server import Twins

FOLDER = "b1gtwin0000000000000"
YANDEX_CHAT = "/yandexgpt/foundationModels/v1/completion"


@dataclass
class Stand:
    """A running set of twins and a client for it."""

    twins: Twins
    port: int
    http: aiohttp.ClientSession

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        async with self.http.post(path, json=body, headers=headers) as response:
            text = await response.text()
            is_one = text.startswith(("{", "[")) and "}\n{" not in text
            return response.status, json.loads(text) if is_one else text

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.http.get(path, headers=headers) as response:
            return response.status, await response.json()

    async def giga_token(self, key: str = "key") -> str:
        headers = {"Authorization": f"Basic {key}", "RqUID": str(uuid4())}
        form = {"scope": "GIGACHAT_API_PERS"}
        async with self.http.post("/gigachat/api/v2/oauth", data=form, headers=headers) as response:
            return (await response.json())["access_token"]

    async def ask(self, family: str, text: str, *, stream: bool = False, **fields: Any) -> tuple[int, Any]:
        """A question of the family's shape, with a credential that works."""
        path, body = question(family, text, stream=stream)
        return await self.post(path, {**body, **fields}, Authorization=await self.authorization(family))

    async def authorization(self, family: str) -> str:
        if family == "gigachat":
            return f"Bearer {await self.giga_token()}"
        return "Api-Key key" if family == "yandexgpt" else "Bearer key"


def question(family: str, text: str, *, stream: bool = False) -> tuple[str, dict[str, Any]]:
    """Path and body of a chat."""
    if family == "yandexgpt":
        options = {"stream": stream, "temperature": 0.3}
        uri = f"gpt://{FOLDER}/yandexgpt/latest"
        messages = [{"role": "user", "text": text}]
        return YANDEX_CHAT, {"modelUri": uri, "completionOptions": options, "messages": messages}
    model = {"gigachat": "GigaChat-2", "mts-ai": "qwen3-32b", "gen-t": "t-tech/T-pro-it-2.1"}.get(family, "x")
    prefix = "/gigachat/api" if family == "gigachat" else f"/{family}"
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    return f"{prefix}/v1/chat/completions", body


def events(text: Any) -> list[Any]:
    """The JSON of a stream's events, server-sent or in lines; one line has been read already."""
    if isinstance(text, dict):
        return [text]
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return [json.loads(line) for line in lines if line.startswith("{")]


async def settled(stand: Stand) -> bool:
    """Whether the twins have come to rest, given a second to do so."""
    for _ in range(100):
        if not stand.twins.journal.in_flight:
            return True
        await asyncio.sleep(0.01)
    return False
