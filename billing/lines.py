"""Movements of a wallet in the words of its owner: what each was for, and what there was after it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import Client
from billing.models import Account, Generation, TransferCode
from billing.models.running import balances_after, from_the_newest
from billing.money import Micro, as_roubles

# Rows whose generations are looked up at a time.
AT_A_TIME = 1_000
GENERATION = re.compile(r"\bgen-([0-9a-f]{32})\b")
PAYMENT = "payment "
# What a page lets choose: codes by a word.
KINDS: dict[str, frozenset[str]] = {
    "payments": frozenset(set(TransferCode.values) - {TransferCode.CHARGE.value}),
    "top_up": frozenset({TransferCode.TOP_UP.value}),
    "charge": frozenset({TransferCode.CHARGE.value}),
    "refund": frozenset({TransferCode.REFUND.value}),
    "promo": frozenset({TransferCode.PROMO.value}),
    "correction": frozenset({TransferCode.CORRECTION.value}),
}


@dataclass(frozen=True, slots=True)
class Line:
    """``after`` is None where nobody has the time to tell; ``generation`` may be gone from our records."""

    pk: int
    at: datetime
    code: str
    words: str
    note: str
    signed: Micro
    amount: Micro
    after: Micro | None
    generation: UUID | None


def lines(wallet: Account, shown: list[Any]) -> list[Line]:
    """Of ``shown``, transfers of the wallet with the newest first."""
    after = balances_after(wallet, shown)
    models = _models(wallet, shown)
    return [_line(row, None if after is None else after[row.pk], models) for row in shown]


def columns() -> list[str]:
    return [
        *(_("Время"), _("Операция"), _("Сумма, ₽"), _("Остаток после, ₽")),
        *(_("Примечание"), _("Генерация")),
    ]


def rows(client: Client, kind: str, since: datetime | None, until: datetime | None) -> Iterator[list[Any]]:
    """For a file: the same of all that was asked for, read while it is taken."""
    codes = KINDS.get(kind)

    def is_wanted(row: Any) -> bool:
        is_in_time = (since is None or row.created_at >= since) and (until is None or row.created_at < until)
        return is_in_time and (codes is None or row.code in codes)

    wallet = Account.objects.get(client=client)
    found = from_the_newest(wallet, since, is_wanted)
    while some := list(islice(found, AT_A_TIME)):
        models = _models(wallet, [row for row, _after in some])
        for row, after in some:
            yield _cells(_line(row, after, models))


def _cells(line: Line) -> list[Any]:
    generation = f"gen-{line.generation.hex}" if line.generation else ""
    money = [Decimal(as_roubles(amount)) for amount in (line.signed, line.after or 0)]
    return [line.at, line.words, *money, line.note, generation]


def _models(wallet: Account, shown: Iterable[Any]) -> dict[UUID, str]:
    """By generation, who answered, or who was asked for."""
    numbers = [number for row in shown if (number := _generation_of(row.cause))]
    own = Generation.objects.filter(client_id=wallet.client_id, pk__in=numbers)
    return {pk: model or asked for pk, model, asked in own.values_list("pk", "model", "model_requested")}


def _generation_of(cause: str) -> UUID | None:
    found = GENERATION.search(cause)
    return UUID(hex=found[1]) if found else None


def _line(row: Any, after: Micro | None, models: dict[UUID, str]) -> Line:
    generation = _generation_of(row.cause)
    is_known = generation in models
    return Line(
        pk=row.pk,
        at=row.created_at,
        code=row.code,
        words=_words(row, models[generation] if is_known else ""),  # type: ignore[index]
        note="" if row.code == TransferCode.PROMO else row.note,
        signed=row.signed,
        amount=row.amount,
        after=after,
        generation=generation if is_known else None,
    )


def _words(row: Any, model: str) -> str:
    match row.code:
        case TransferCode.TOP_UP if row.cause.startswith(PAYMENT):
            return _("Пополнение: платёж %(number)s") % {"number": row.cause.removeprefix(PAYMENT)}
        case TransferCode.TOP_UP:
            return _("Пополнение")
        case TransferCode.CHARGE:
            return _("Оплата генерации: %(model)s") % {"model": model} if model else _("Оплата генерации")
        case TransferCode.REFUND:
            return _("Возврат за генерацию: %(model)s") % {"model": model} if model else _("Возврат")
        case TransferCode.PROMO:
            return _("Промокод %(code)s") % {"code": row.note}
        case TransferCode.CORRECTION:
            return _("Исправление остатка")
    return str(_(row.get_code_display()))
