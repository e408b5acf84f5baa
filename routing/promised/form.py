"""What was promised of an answer, and whether a text keeps it. Pure."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import blake2b
from math import inf
from typing import Any, NamedTuple, NoReturn

import orjson

from providers.wire import Chat
from routing.errors import BadRequest
from routing.promised import schemas
from routing.promised.looser import looser
from routing.promised.schemas import Schema

# Bytes of a schema: it is compiled before limits are counted, in some 120 ns for each.
LARGEST = 64 * 1024
# Work: schemas times values, and characters for those that read texts. So much is checked within some
# 10 ms at the worst, and explained: telling what is wrong takes hundreds of times as long.
QUICK = 10_000_000
QUICK_TO_TELL = 10_000

# Forms that are kept, and characters of their schemas: in memory a form is up to eighty times as large.
MOST, LONGEST_TOGETHER = 128, 1_000_000
_kept: "OrderedDict[bytes, Form]" = OrderedDict()  # the one that was asked for last is the last

FIELD = "response_format.json_schema.schema"
ANY_OBJECT: Schema = {"type": "object"}
FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\r?\n(.*?)```", re.DOTALL)
FIRST_SIGN = re.compile(r"[{\[]")


class Fault(NamedTuple):
    """Where an answer is not what was promised, and why; ``path`` as in ``items[0].price``."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}" if self.path else self.why


class Found(NamedTuple):
    """The document in an answer: as it was written, and what it says."""

    text: str
    document: Any


class Form:
    """JSON by a schema. Shared by requests that promise the same."""

    def __init__(self, schema: Schema) -> None:
        """Raises ValueError for what is no schema."""
        self.schema = schema
        # The same for the same schema, and small: who remembers it does not keep the form.
        self.mark = blake2b(orjson.dumps(schema), digest_size=16).digest()
        self._weight = schemas.weight(schema)
        self._room = schemas.room_for_each(schema)
        self._text_weight = schemas.text_weight(schema) if self._room else inf
        self._validator = self._compiled() if self._room else self._is_for_the_inspector()

    @property
    def is_told_early(self) -> bool:
        """Whether the beginning of a document tells if it may still become what was promised."""
        return self._looser is not None

    @cached_property
    def _looser(self) -> Any:
        loose = looser(self.schema) if self._weight + self._text_weight < inf else None
        try:
            return None if loose is None else schemas.compiled(loose, schemas.LINEAR, self._room)
        except ValueError:  # it refers to a place that is not there any more
            return None

    def _compiled(self) -> Any:
        try:
            return schemas.compiled(self.schema, schemas.LINEAR, self._room)
        except ValueError:
            self._text_weight = inf
        try:
            return schemas.compiled(self.schema, schemas.ANY, self._room)
        except ValueError:
            return self._is_for_the_inspector(schemas.without_counts)

    def _is_for_the_inspector(self, change: Callable[[str], str | None] = lambda pattern: None) -> None:
        """Its patterns are too large to be compiled here; ``change`` makes them small, or None."""
        schemas.compiled(schemas.with_patterns(self.schema, change), schemas.ANY, schemas.ROOM)
        self._text_weight = inf

    def may_become(self, beginning: Found) -> bool:
        """Whether more text may make the beginning of a document what was promised."""
        if self._looser is None or not self.is_quick(beginning.text):
            return False
        return _is_valid(self._looser, beginning.document)

    def is_quick(self, text: str) -> bool:
        """Whether ``fits`` takes no longer than the event loop can wait."""
        return self._work(text) <= QUICK

    def is_quick_to_tell(self, text: str) -> bool:
        """The same for ``fault``."""
        return self._work(text) <= QUICK_TO_TELL

    def fits(self, document: Any) -> bool:
        return _is_valid(self._validator, document)

    def fault(self, document: Any) -> Fault | None:
        """What is wrong with the document; None if nothing is."""
        path, why = schemas.first_fault(self._validator, document)
        return Fault(path, why) if why else None

    def _work(self, text: str) -> float:
        values = 1 + text.count(",") + text.count("{") + text.count("[")
        return self._weight * values + self._text_weight * len(text)


def promised_form(chat: Chat) -> Form | None:
    """What an answer to ``chat`` has to be. Raises BadRequest for a schema that is none, or fits nothing."""
    wanted = chat.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return _form(orjson.dumps(ANY_OBJECT))
    if wanted.get("type") != "json_schema":
        return None
    described = wanted["json_schema"]
    # Whoever says that the schema is but a wish gets what the model makes of it.
    if described.get("strict") is False or described.get("schema") is None:
        return None
    return _form(_dumped(described["schema"]))


def found_in(text: str) -> Found:
    """The document in an answer, around which models like to put a fence or kind words. Raises ValueError."""
    for part in _parts(text):
        try:
            return Found(part.strip(), orjson.loads(part))
        except ValueError:
            continue
    sign = FIRST_SIGN.search(text)
    start = sign.start() if sign else 0
    try:
        _, end = DECODER.raw_decode(text, start)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    return Found(text[start:end], orjson.loads(text[start:end]))


def _parts(text: str) -> Iterator[str]:
    yield text
    yield from (fence[1] for fence in FENCED.finditer(text))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)


def _dumped(schema: Schema) -> bytes:
    text = orjson.dumps(schema)
    if len(text) > LARGEST:
        raise BadRequest(f"Поле {FIELD}: схема длиннее {LARGEST} байт.", param=FIELD)
    return text


def _form(text: bytes) -> Form:
    """Applications ask with the same schema again and again."""
    form = _kept.pop(text, None) or _made(text)
    _kept[text] = form
    while len(_kept) > MOST or sum(map(len, _kept)) > LONGEST_TOGETHER:
        _kept.popitem(last=False)
    return form


def _made(text: bytes) -> Form:
    try:
        return Form(orjson.loads(text))
    except ValueError as exc:
        why = getattr(exc, "message", "")[:200] or "слишком глубокая вложенность"
        raise BadRequest(f"Поле {FIELD}: это не JSON Schema: {why}", param=FIELD) from None


def _is_valid(validator: Any, document: Any) -> bool:
    try:
        return bool(validator.is_valid(document))
    except ValueError:  # nested too deep
        return False
