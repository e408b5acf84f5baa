"""What a customer may want of the choice of a provider: the ``provider`` object of a request, declared.

The same object is kept with a key and with a client, as what holds where a request says nothing. What it
means is ``routing.wishes``'s to say. Members that are null ask nothing.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from msgspec import Meta, Struct

from accounts.misfit import misfit

log = logging.getLogger(__name__)

MAX_NAMES = 256
COUNTRY_LETTERS = 2  # ISO 3166

Names: TypeAlias = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=MAX_NAMES)]
By: TypeAlias = Literal["price", "throughput", "latency"]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
# Few enough digits for ``decimal`` to reckon with exactly. ``$`` alone would let it end in a line break.
Decimals: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$(?!\n)",
        description="строка вида 0.25, не больше 12 цифр до и после точки",
    ),
]
Amount: TypeAlias = Annotated[float, Meta(ge=0)] | Decimals

# Complaints remembered so as to be made once; after so many others one may be repeated.
COMPLAINTS = 1_000


class _Declared(Struct, gc=False):
    """Lives for the check only; the dict that was checked is what travels on."""


class Sort(_Declared):
    """``partition``: order each model's providers by themselves, or all models' together (none)."""

    by: By | None = None
    partition: Literal["model", "none"] | None = None


class Percentiles(_Declared):
    """A bound for each percentile of the last minutes that matters: p90 is for all but the slowest tenth."""

    p50: Positive | None = None
    p75: Positive | None = None
    p90: Positive | None = None
    p99: Positive | None = None


class MaxPrice(_Declared):
    """Roubles for 1,000 tokens, and roubles for a request. No images are priced: ``image`` has no effect."""

    prompt: Amount | None = None
    completion: Amount | None = None
    request: Amount | None = None
    image: Amount | None = None


class Preferences(_Declared):
    """The ``provider`` object: which providers may serve the request, and in which order.

    Throughput in tokens a second, latency in seconds to the first token; a number alone is the median.
    """

    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    sort: By | Sort | None = None
    max_price: MaxPrice | None = None
    preferred_min_throughput: Positive | Percentiles | None = None
    preferred_max_latency: Positive | Percentiles | None = None
    region: Annotated[str, Meta(max_length=256)] | None = None


_INSIDE: dict[str, type[Struct]] = {
    "sort": Sort,
    "max_price": MaxPrice,
    "preferred_min_throughput": Percentiles,
    "preferred_max_latency": Percentiles,
}


def validate_preferences(value: Any) -> None:
    """Accept what a request's ``provider`` may be, without members that nobody knows. Raises ValidationError.

    A request's unknown members are ignored; in a default that is kept they are a slip of the pen.
    """
    if flaw := flaw_of(value):
        raise ValidationError("%(flaw)s", params={"flaw": flaw})
    if unknown := sorted(_unknown(value)):
        known = ", ".join(_beside(unknown[0]))
        raise ValidationError(
            _("Неизвестно: %(unknown)s. Есть %(known)s."),
            params={"unknown": ", ".join(unknown), "known": known},
        )
    if not _can_be_kept(value):
        raise ValidationError(
            _("Здесь бесконечность, половина символа или нулевой символ: их нельзя сохранить.")
        )
    if not is_country(value.get("region") or ""):
        raise ValidationError(_("Поле region: нужны две латинские буквы страны, например ru."))


def usable(value: Any, whose: str) -> Mapping[str, Any]:
    """``value`` as a default for requests; nothing of it if it is broken, which is logged once."""
    flaw = flaw_of(value)
    if not flaw:
        return value
    _complain(whose, flaw)
    return {}


def flaw_of(value: Any) -> str:
    """Why ``value`` is no ``provider`` object, in a sentence; "" if it is one."""
    if not isinstance(value, dict):
        return "Нужен объект JSON: {…}."
    try:
        msgspec.convert(value, Preferences)
    except msgspec.ValidationError as exc:
        return misfit(Preferences, value, exc).said
    return ""


@lru_cache(COMPLAINTS)
def _complain(whose: str, flaw: str) -> None:
    log.error("broken routing preferences are ignored", extra={"whose": whose, "flaw": flaw})


def _unknown(value: dict[str, Any]) -> Iterator[str]:
    yield from value.keys() - {*Preferences.__struct_fields__}
    for name, shape in _INSIDE.items():
        inside = value.get(name)
        if isinstance(inside, dict):
            yield from (f"{name}.{inner}" for inner in inside.keys() - {*shape.__struct_fields__})


def _beside(name: str) -> Iterator[str]:
    """The members that are known where ``name`` is not."""
    outer, inside, _ = name.rpartition(".")
    return (f"{outer}{inside}{known}" for known in _INSIDE.get(outer, Preferences).__struct_fields__)


def is_country(region: str) -> bool:
    """Whether ``region`` is written as a country is; "" stands for any."""
    return not region or (len(region) == COUNTRY_LETTERS and region.isascii() and region.isalpha())


def _can_be_kept(value: dict[str, Any]) -> bool:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:
        return False
    return "\\u0000" not in text
