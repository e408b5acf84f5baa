"""One file per dialect, one line here."""

from providers.adapters.base import Adapter
from providers.adapters.gigachat import GigaChat
from providers.adapters.yandexgpt import YandexGPT

ADAPTERS: dict[str, Adapter] = {
    "gigachat": GigaChat(),
    "yandexgpt": YandexGPT(),
}
