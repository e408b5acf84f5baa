"""Twins on a real port, on the event loop they run on."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import uvloop

from providers.twins.flavours import GenT, MtsAI
from providers.twins.gigachat import GigaChat
from providers.twins.listener import listening
from providers.twins.openai import OpenAI
from providers.twins.server import Twins
from providers.twins.yandexgpt import YandexGPT
from tests.providers.twins.stand import Stand


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    twins = Twins([GigaChat(), YandexGPT(), MtsAI(), GenT(), OpenAI()])
    async with listening(twins) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        yield Stand(twins, port, http)
