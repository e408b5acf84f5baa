"""Promo codes as people type them: so many tries an hour that one may mistype, and nobody can guess."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Client, User
from billing import ledger
from billing.errors import TooManyTries
from billing.models import PromoTry
from billing.money import Micro

TRIES = 10
WINDOW = timedelta(hours=1)


def try_code(person: User, client: Client, code: str) -> Micro:
    """What the code has brought to the client's wallet. Raises TooManyTries or PromoRefused."""
    _count(person)
    return ledger.redeem(client, code, by=str(person)).amount


@transaction.atomic
def _count(person: User) -> None:
    # Locked, so that tries at the same time are counted one after the other.
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    tries = PromoTry.objects.filter(user=person)
    tries.filter(at__lt=Now() - WINDOW).delete()
    if tries.count() >= TRIES:
        raise TooManyTries
    PromoTry.objects.create(user=person)
