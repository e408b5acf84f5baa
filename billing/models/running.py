"""What a wallet had after each of its movements. Reads only, and one moment each time.

Movements of one wallet are numbered in the order of booking, since whoever books has its row locked.
So what it had after one of them is its balance now without all that came later.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from django.db import OperationalError, connection, transaction
from django.db.models import F, Func, IntegerField, Min, Subquery, Sum, Value

from billing.models.book import Account, Transfer
from billing.money import Micro

# For adding up what came later, in milliseconds: a page does without the column rather than be late.
PATIENCE = 2_000
AT_A_TIME = 2_000


def balances_after(wallet: Account, shown: Sequence[Transfer]) -> dict[int, Micro] | None:
    """For each of ``shown``, the newest first, by its number; None where too much has come since."""
    if not shown:
        return {}
    try:
        sums = _sums(wallet, sorted(row.pk for row in shown))
    except OperationalError:  # the time was over
        return None
    found, balance = {}, sums[0]
    for place, row in zip(range(len(shown), 0, -1), shown, strict=True):
        # Of what moved from this one on up to the next, all but itself came after it.
        balance -= sums[place]
        found[row.pk] = balance + row.signed
    return found


def _sums(wallet: Account, numbers: list[int]) -> dict[int, Micro]:
    """By place among ``numbers`` what has moved from there to the next; at 0 the balance. One statement."""
    place = Func(F("pk"), Value(numbers), function="width_bucket", output_field=IntegerField())
    balance = Subquery(Account.objects.filter(pk=wallet.pk).values("balance"))
    rows = (
        wallet.movements()
        .filter(pk__gte=numbers[0])
        .order_by()
        .values(place=place)
        .annotate(sum=Sum("signed"), balance=balance)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [PATIENCE])
        found = list(rows)
        cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    return {0: found[0]["balance"], **{row["place"]: int(row["sum"]) for row in found}}


def from_the_newest(
    wallet: Account, since: datetime | None, is_wanted: Callable[[Transfer], bool]
) -> Iterator[tuple[Transfer, Micro]]:
    """The movements of ``wallet`` from ``since`` on that are wanted, each with what there was after it."""
    rows = wallet.movements().order_by("-pk")
    if since is not None:
        first = rows.filter(created_at__gte=since).aggregate(first=Min("pk"))["first"]
        rows = rows.filter(pk__gte=first) if first else rows.none()
    balance = Subquery(Account.objects.filter(pk=wallet.pk).values("balance"))
    after: Micro | None = None
    for row in rows.annotate(balance=balance).iterator(AT_A_TIME):
        after = row.balance if after is None else after
        if is_wanted(row):
            yield row, after
        after -= row.signed
