"""How keys are made, changed, stopped, removed and replaced: the same for the pages and for the API.

What may be said of a key, forms check (``key_forms``); who may change it, whoever calls has found out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.errors import AlreadyMade, AlreadyReplaced, NobodysKey, Removed, TooManyKeys
from accounts.models import ApiKey, Client, User
from billing import rotation
from billing.key_forms import CustomersKeyForm

# Keys of one client, those that no longer work included: more are a mistake of some program. One that was
# removed counts for a day, so that nobody fills the table by making and removing.
ROOM = 1_000
REMEMBERED = timedelta(days=1)


@dataclass(frozen=True)
class Author:
    """Who wants it: a person on a page, or a program with a management key."""

    person: User | None = None
    key: ApiKey | None = None


@transaction.atomic
def create(client: Client, form: CustomersKeyForm, by: Author, wish: str = "") -> tuple[ApiKey, str]:
    """The key that the valid ``form`` describes, and its plaintext. Raises AlreadyMade, TooManyKeys.

    ``wish``: what this wish for a key is known by, should it come twice.
    """
    _make_way(client, wish)
    key: ApiKey = form.save(commit=False)
    key.created_by, key.made_with, key.wish = by.person, by.key, wish or None
    plaintext = key.draw()
    key.save(force_insert=True)
    form.save_cap()
    return key, plaintext


def change(key: ApiKey, form: CustomersKeyForm) -> None:
    """Write down what the valid ``form`` has changed of ``key``, which the caller holds. Raises Removed."""
    _check_that_it_is_there(key)
    key.save(update_fields=[name for name in form.changed_data if name not in form.of_cap])
    form.save_cap()


def stop(key: ApiKey) -> None:
    """Let no program go on with ``key``, which the caller holds."""
    if key.disabled_at is None:
        key.disabled_at = timezone.now()
        key.save(update_fields=["disabled_at"])


def start(key: ApiKey) -> None:
    """Let programs go on with ``key``, which the caller holds. Raises Removed."""
    _check_that_it_is_there(key)
    if key.disabled_at is not None:
        key.disabled_at = None
        key.save(update_fields=["disabled_at"])


def remove(key: ApiKey) -> None:
    """Stop ``key``, which the caller holds, for good; its past stays known. Raises NobodysKey."""
    if key.for_playground:
        raise NobodysKey
    if key.removed_at is None:
        key.removed_at = timezone.now()
        key.disabled_at = key.disabled_at or key.removed_at
        key.save(update_fields=["disabled_at", "removed_at"])


def replace(old: ApiKey, grace: timedelta, by: Author, wish: str = "") -> tuple[ApiKey, str]:
    """A key that may do the same as ``old``, which the caller holds and which works on for ``grace``.

    With its plaintext. Raises AlreadyMade, AlreadyReplaced, NobodysKey, TooManyKeys.
    """
    _make_way(old.client, wish)
    if old.successor_id or not old.works():
        raise AlreadyReplaced
    return rotation.rotate(old, grace, by.person, made_with=by.key, wish=wish or None)


@contextmanager
def held(keys: QuerySet[ApiKey], prefix: str) -> Iterator[ApiKey]:
    """The one of ``keys`` that begins so, which nobody else changes meanwhile. Raises ApiKey.DoesNotExist."""
    with transaction.atomic():
        yield keys.select_for_update(no_key=True).get(prefix=prefix)


def _make_way(client: Client, wish: str) -> None:
    # Keys of one client are made one after another. "No key": requests, each with its hold, do not wait.
    Client.objects.select_for_update(no_key=True).get(pk=client.pk)
    if wish and (made := client.keys.filter(wish=wish).first()):
        raise AlreadyMade(made)
    lately = timezone.now() - REMEMBERED
    if client.keys.filter(Q(removed_at=None) | Q(created_at__gt=lately)).count() >= ROOM:
        raise TooManyKeys


def _check_that_it_is_there(key: ApiKey) -> None:
    if key.removed_at is not None:
        raise Removed
