"""One file per dialect, one line here."""

from providers.adapters.base import Adapter
from providers.adapters.gen_t import GenT
from providers.adapters.gigachat import GigaChat
from providers.adapters.mts_ai import MtsAI
from providers.adapters.openai import OpenAI
from providers.adapters.yandexgpt import YandexGPT

ADAPTERS: dict[str, Adapter] = {
    "gen-t": GenT(),
    "gigachat": GigaChat(),
    "mts-ai": MtsAI(),
    "openai": OpenAI(),
    "yandexgpt": YandexGPT(),
}
