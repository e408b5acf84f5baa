"""The operators' desk for the catalogue and for how it was decided who answers."""

from routing.admin import decisions, endpoints, generations, keys, models, vendors

__all__ = ["decisions", "endpoints", "generations", "keys", "models", "vendors"]
