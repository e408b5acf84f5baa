"""Twins on a real port."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from providers.twins.flavours import GenT, MtsAI
from providers.twins.gigachat import GigaChat
from providers.twins.listener import listening
from providers.twins.openai import OpenAI
from providers.twins.server import Twins
from providers.twins.yandexgpt import YandexGPT
from tests.providers.twins.stand import Stand


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    twins = Twins([GigaChat(), YandexGPT(), MtsAI(), GenT(), OpenAI()])
    async with listening(twins) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        yield Stand(twins, port, http)
