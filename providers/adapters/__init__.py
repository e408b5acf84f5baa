"""One file per dialect, one line here."""

from providers.adapters.base import Adapter

ADAPTERS: dict[str, Adapter] = {}
