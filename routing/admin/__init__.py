"""The operators' desk for the catalogue and for how it was decided who answers."""

from routing.admin import catalogue, decisions, keys, vendors

__all__ = ["catalogue", "decisions", "keys", "vendors"]
