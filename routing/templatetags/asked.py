"""What pages tell their scripts."""

from typing import Any

import orjson
from django import template

register = template.Library()


@register.filter
def as_json(told: Any) -> str:
    """For an attribute of an element: the template escapes it."""
    return orjson.dumps(told).decode()
