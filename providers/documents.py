"""Reads the JSON of vendors, who do not all keep to the standard. Pure."""

import json
from typing import Any

import orjson

from providers.errors import Broken
from providers.sse import BOM


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises Broken for anything else: HTML, bad UTF-8, deep nesting."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _nearly_json(body)
    if not isinstance(value, dict):
        raise Broken(detail="the answer is no JSON object")
    return value


def _nearly_json(body: bytes) -> object:
    """JSON with a byte order mark, or with Python's NaN and Infinity, which are read as null."""
    if not (body.startswith(BOM) or b"NaN" in body or b"Infinity" in body):
        raise Broken(detail="the answer is no JSON")
    try:
        value = json.loads(body, parse_constant=lambda _: None)
        # There and back: orjson says no to what it could not write later (lone surrogates, depth).
        return orjson.loads(orjson.dumps(value))
    except (ValueError, TypeError, RecursionError) as exc:
        raise Broken(detail="the answer is no JSON") from exc
