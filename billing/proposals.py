"""Two people for large sums: one operator asks, another one signs, and only then it is done.

What one operator has moved for one client alone counts together, and so do the promo codes that he has
issued: no sum gets by in slices. An overdraft counts as what it is afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from billing import batches, invoices, ledger
from billing.errors import BillingError, CauseReused, NotYours, ProposalOver, TooMuch
from billing.models import (
    Account,
    Generation,
    Invoice,
    Payment,
    PromoCode,
    Proposal,
    ProposalKind,
    ProposalState,
    TransferCode,
)
from billing.money import MICRO_PER_ROUBLE, Micro

# How long a proposal waits: a week has a working day for everybody.
WAITS = timedelta(days=7)
# The time in which one operator's movements for one client are added up.
TOGETHER = timedelta(hours=24)
NOT_RAISED = gettext_lazy("Овердрафт уже не меньше.")
BY_HAND = [TransferCode.TOP_UP, TransferCode.CORRECTION, TransferCode.REFUND]

Figure = tuple[str, Micro, Micro]


def threshold() -> Micro:
    """What one may do alone: move for a client in a day, issue in promo codes in a day, give as overdraft."""
    return settings.XROUTER_SECOND_SIGNATURE_ABOVE * MICRO_PER_ROUBLE


@transaction.atomic
def submit(asked: Proposal) -> Proposal:
    """Do what one may do alone, and do not keep it; ``transfer`` is what has moved. Else keep it waiting.

    Raises BillingError.
    """
    if needs_second(asked):
        return ask(asked)
    asked.transfer = carry_out(asked)
    return asked


def needs_second(asked: Proposal) -> bool:
    """Whether somebody else has to sign what counts together with what was done before; see ``may_overdraw``.

    The answer holds until the transaction ends.
    """
    _hold(asked.asked_by_id)
    return abs(asked.amount) + ALONE[asked.kind](asked) > threshold()


def may_issue(worth: Micro, by: User, number: int | None) -> bool:
    """Whether ``by`` alone may issue a promo code of ``worth``, or raise code ``number`` to it; likewise."""
    _hold(by.pk)
    others = PromoCode.objects.alone(by, TOGETHER).exclude(pk=number)
    return worth + others.worth() <= threshold()


def may_overdraw(wallet: Account, limit: Micro) -> bool:
    """Whether one operator may set the overdraft of ``wallet`` alone: it falls, or is no large sum."""
    return limit <= max(wallet.credit_limit, threshold())


def ask(asked: Proposal) -> Proposal:
    """Keep what has to be signed; what was kept for the same cause is returned, and ``is_repeat``."""
    kept = Proposal.objects.filter(
        cause=asked.cause, state__in=[ProposalState.WAITING, ProposalState.CONFIRMED]
    ).first()
    if kept is not None and kept.state == ProposalState.WAITING and not kept.is_waiting:
        _end(kept, ProposalState.EXPIRED)
        kept = None
    if kept is not None:
        return _same(kept, asked)
    asked.expires_at = asked.asked_at + WAITS
    asked.save(force_insert=True)
    return asked


@transaction.atomic
def confirm(number: int, by: User) -> Proposal:
    """Sign and do. Raises NotYours, ProposalOver, or what the ledger says now; then nothing has changed."""
    proposal = _open(number)
    if proposal.asked_by_id == by.pk:
        raise NotYours
    proposal.transfer = carry_out(proposal)
    return _end(proposal, ProposalState.CONFIRMED, by)


@transaction.atomic
def decline(number: int, by: User, why: str) -> Proposal:
    """End it, nothing done; who asked may take it back so. Raises ProposalOver."""
    proposal = _open(number)
    proposal.decision = why
    return _end(proposal, ProposalState.DECLINED, by)


def expire() -> int:
    """End what has waited too long; how many."""
    over = Proposal.objects.filter(state=ProposalState.WAITING, expires_at__lte=Now())
    return over.update(state=ProposalState.EXPIRED, decided_at=Now())


# --- What each kind does ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """``objection`` is what the ledger would say, as far as one can see beforehand; empty for nothing."""

    carry_out: Callable[[Proposal], Any]
    figures: Callable[[Proposal], list[Figure]]
    objection: Callable[[Proposal], str]


def carry_out(proposal: Proposal) -> Any:
    """The transfer, if money moves. Raises BillingError."""
    return MOVES[proposal.kind].carry_out(proposal)


def figures(proposal: Proposal) -> list[Figure]:
    """What it changes: its name, the amount now, the step to the amount afterwards."""
    return MOVES[proposal.kind].figures(proposal)


def objection(proposal: Proposal) -> str:
    return MOVES[proposal.kind].objection(proposal)


def _correct(asked: Proposal) -> Any:
    by = str(asked.asked_by)
    return ledger.correct(asked.client, asked.amount, cause=asked.cause, note=asked.reason, by=by)


def _refund(asked: Proposal) -> Any:
    by = str(asked.asked_by)
    return ledger.refund(_generation(asked), asked.amount, cause=asked.cause, note=asked.reason, by=by)


def _credit(asked: Proposal) -> Any:
    facts = {
        "client": asked.client,
        "amount": asked.amount,
        "received_at": asked.received_at,
        "reason": asked.reason,
        "created_by": str(asked.asked_by),
    }
    payment, is_new = Payment.objects.get_or_create(number=asked.number, defaults=facts)
    if not is_new:
        raise CauseReused(_("Платёж с этим номером уже зачислен."))
    transfer = ledger.credit(payment)
    if asked.pk and (
        asked_for := Invoice.objects.select_for_update(no_key=True).filter(proposal=asked).first()
    ):
        invoices.settle(asked_for, payment, str(asked.asked_by))
    return transfer


def _put_into_circulation(asked: Proposal) -> None:
    if said := _is_over(asked):
        raise BillingError(said)
    batches.switch(asked.batch, on=True)


def _raise_overdraft(asked: Proposal) -> None:
    wallet = Account.objects.select_for_update(no_key=True).get(client=asked.client)
    if wallet.credit_limit >= asked.amount:
        raise BillingError(NOT_RAISED)
    wallet.credit_limit = asked.amount
    wallet.save(update_fields=["credit_limit"])


def _of_batch(asked: Proposal) -> list[Figure]:
    return [(_("Можно получить по кодам партии «{batch}»").format(batch=asked.batch), 0, asked.amount)]


def _of_overdraft(asked: Proposal) -> list[Figure]:
    wallet = ledger.wallet_of(asked.client)
    step = asked.amount - wallet.credit_limit
    return [
        (_("Овердрафт"), wallet.credit_limit, step),
        (_("Свободно для запросов"), wallet.available, step),
    ]


def _of_wallet(asked: Proposal) -> list[Figure]:
    wallet = ledger.wallet_of(asked.client)
    return [
        (_("Остаток"), wallet.balance, asked.amount),
        (_("Свободно для запросов"), wallet.available, asked.amount),
    ]


def _of_generation(asked: Proposal) -> list[Figure]:
    generation = _generation(asked)
    return [
        (_("Списано за генерацию"), generation.cost, 0),
        (_("Из них возвращено"), generation.refunded, asked.amount),
        (
            _("Остаток клиента {client}").format(client=asked.client),
            ledger.wallet_of(asked.client).balance,
            asked.amount,
        ),
    ]


def _takes_too_much(asked: Proposal) -> str:
    available = ledger.wallet_of(asked.client).available
    return TooMuch.said if asked.amount < 0 and available + asked.amount < 0 else ""


def _gives_too_much(asked: Proposal) -> str:
    return TooMuch.said if asked.amount > _generation(asked).refundable() else ""


def _is_credited(asked: Proposal) -> str:
    known = Payment.objects.filter(number=asked.number).exists()
    return _("Платёж с этим номером уже зачислен.") if known else ""


def _is_over(asked: Proposal) -> str:
    valid = asked.batch.codes.exclude(expires_at__lte=timezone.now()).exists()
    return "" if valid else _("Срок этих кодов уже прошёл.")


def _is_not_raised(asked: Proposal) -> str:
    return str(NOT_RAISED) if ledger.wallet_of(asked.client).credit_limit >= asked.amount else ""


def _moved_alone(asked: Proposal) -> Micro:
    """What its operator has moved for its client in the last day without a second signature."""
    own = ledger.refund_cause(asked.generation, asked.cause) if asked.generation else asked.cause
    alone = (
        ledger.wallet_of(asked.client)
        .movements()
        .filter(created_by=str(asked.asked_by), created_at__gt=Now() - TOGETHER, code__in=BY_HAND)
        .filter(proposal=None)
        .exclude(cause=own)  # a second click is the same movement, not another one
    )
    return int(alone.aggregate(sum=Sum("amount", default=0))["sum"])


def _issued_alone(asked: Proposal) -> Micro:
    return PromoCode.objects.alone(asked.asked_by, TOGETHER).exclude(batch=asked.batch).worth()


# What the operator has done of the kind lately without a second signature.
ALONE = {
    ProposalKind.CORRECTION: _moved_alone,
    ProposalKind.REFUND: _moved_alone,
    ProposalKind.PAYMENT: _moved_alone,
    ProposalKind.PROMO: _issued_alone,
}
MOVES = {
    ProposalKind.CORRECTION: Move(_correct, _of_wallet, _takes_too_much),
    ProposalKind.REFUND: Move(_refund, _of_generation, _gives_too_much),
    ProposalKind.PAYMENT: Move(_credit, _of_wallet, _is_credited),
    ProposalKind.PROMO: Move(_put_into_circulation, _of_batch, _is_over),
    ProposalKind.OVERDRAFT: Move(_raise_overdraft, _of_overdraft, _is_not_raised),
}


# --- Steps ---------------------------------------------------------------------------------------------


def _hold(operator: int) -> None:
    # Locked, so that what one operator does at the same time is added up one after the other.
    User.objects.select_for_update(no_key=True).get(pk=operator)


def _same(kept: Proposal, asked: Proposal) -> Proposal:
    if any(getattr(kept, fact) != getattr(asked, fact) for fact in ("kind", "client_id", "amount")):
        raise CauseReused
    kept.is_repeat = True
    return kept


def _open(number: int) -> Proposal:
    # Locked: of two who decide at once the second one sees what the first one has decided.
    proposal = Proposal.objects.select_for_update(of=("self",)).select_related("client", "batch", "asked_by")
    found = proposal.filter(pk=number).first()
    if found is None:
        raise BillingError(_("Такого предложения нет."))
    if found.state != ProposalState.WAITING:
        raise ProposalOver(_("Уже решено: {state}.").format(state=found.get_state_display()))
    if not found.is_waiting:
        raise ProposalOver(_("Срок предложения истёк: если движение ещё нужно, предложите его заново."))
    return found


def _end(proposal: Proposal, state: ProposalState, by: User | None = None) -> Proposal:
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, timezone.now()
    proposal.save(update_fields=["state", "decided_by", "decided_at", "decision", "transfer"])
    return proposal


def _generation(asked: Proposal) -> Generation:
    return Generation.objects.select_related("client").get(pk=asked.generation)
