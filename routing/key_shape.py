"""What programs say of a key: bytes -> the fields of the customers' form, which knows the rules. Pure."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from routing.errors import BadRequest
from routing.reading import fitting, read_object

# What a list may have; the form says what each of them may be.
MOST_ITEMS = 1_000
# Whole numbers that PostgreSQL's "integer" holds.
LARGEST = 2**31 - 1

Label = Annotated[str, Meta(min_length=1, max_length=100)]
Money = Annotated[float, Meta(ge=0, le=10**9)]
Count = Annotated[int, Meta(ge=1, le=LARGEST)]
Items = Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=MOST_ITEMS)]
Moment = Annotated[str, Meta(max_length=40)]
Often = Literal["none", "daily", "weekly", "monthly"]
# Of the seconds that there are to choose from, the longest.
Grace = Annotated[int, Meta(ge=0, le=7 * 86_400)]


class Described(Struct, kw_only=True):
    """What may be told of a key, a new one or one that is there. ``null`` takes a bound away."""

    label: Label | None = None
    name: Label | None = None
    limit: Money | None = None
    limit_reset: Often | None = None
    expires_at: Moment | None = None
    allowed_models: Items | None = None
    allowed_addresses: Items | None = None
    requests_per_second: Count | None = None
    requests_per_minute: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None


class KeyChange(Described, kw_only=True, forbid_unknown_fields=True):
    """What is told is changed, the rest stays as it is."""

    disabled: bool | None = None


class NewKey(Described, kw_only=True, forbid_unknown_fields=True):
    """``label`` is needed, or ``name``, as OpenRouter's programs call it."""

    is_test: bool | None = None


class KeyRotation(Struct, forbid_unknown_fields=True):
    """For how many seconds the old key still works."""

    grace_seconds: Grace | None = None


# Where the form has another word.
IN_THE_FORM = {"name": "label", "limit": "cap", "limit_reset": "reset"}
IN_THE_API = {"cap": "limit", "reset": "limit_reset", "kind": "is_test", "grace": "grace_seconds"}


def read_key(shape: type[Struct], body: bytes) -> dict[str, Any]:
    """What ``body`` says of a key, by the form's names. Raises BadRequest, TooManyBytes."""
    told = read_only(shape, body)
    if "name" in told and "label" in told:
        raise BadRequest("Поля label и name — одно и то же: укажите одно из них.", param="name")
    if "expires_at" in told:
        told["expires_at"] = _moment(told["expires_at"])
    return {IN_THE_FORM.get(name, name): value for name, value in told.items()}


def read_only(shape: type[Struct], body: bytes) -> dict[str, Any]:
    """The object in ``body``, in which are only fields of ``shape``; no body is an empty one."""
    told = read_object(body or b"{}")
    for name in told:
        if name not in shape.__struct_fields__:
            raise BadRequest(f"Неизвестное поле {_quoted(name)}.", param=_quoted(name))
    return fitting(shape, told)


def field_of(name: str) -> str:
    """What the API calls a field of the form."""
    return IN_THE_API.get(name, name)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        wanted = "дата и время со смещением, например 2027-01-01T00:00:00+03:00"
        raise BadRequest(f"Поле expires_at: ожидается {wanted}.", param="expires_at")
    return moment


def _quoted(name: str) -> str:
    """A name of the customer's making, as far as it is repeated to him."""
    return name if name.isidentifier() and name.isascii() and len(name) <= 64 else "[...]"
