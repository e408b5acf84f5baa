"""Two people for large movements: one operator asks, another one signs, and only then the ledger moves money.

What one operator has moved for one client alone counts together, so that no sum gets by in slices.
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

from accounts.models import User
from billing import ledger
from billing.errors import BillingError, CauseReused, NotYours, ProposalOver, TooMuch
from billing.models import Generation, Payment, Proposal, ProposalKind, ProposalState, TransferCode
from billing.money import MICRO_PER_ROUBLE, Micro

# How long a proposal waits: a week has a working day for everybody.
WAITS = timedelta(days=7)
# The time in which one operator's movements for one client are added up.
TOGETHER = timedelta(hours=24)
BY_HAND = [TransferCode.TOP_UP, TransferCode.CORRECTION, TransferCode.REFUND]

Figure = tuple[str, Micro, Micro]


def threshold() -> Micro:
    """What one operator may move alone for one client in a day."""
    return settings.XROUTER_SECOND_SIGNATURE_ABOVE * MICRO_PER_ROUBLE


@transaction.atomic
def submit(asked: Proposal) -> Proposal:
    """Move at once what one may move alone: it has a ``transfer`` then and is not kept. Else keep it waiting.

    Raises BillingError.
    """
    if needs_second(asked):
        return ask(asked)
    asked.transfer = carry_out(asked)
    return asked


def needs_second(asked: Proposal) -> bool:
    """Whether somebody else has to sign. The answer holds until the transaction ends."""
    # Locked, so that movements of one operator at the same time are added up one after the other.
    User.objects.select_for_update(no_key=True).get(pk=asked.asked_by_id)
    return abs(asked.amount) + _moved_alone(asked) > threshold()


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
    """Sign and move. Raises NotYours, ProposalOver, or what the ledger says now; then nothing has changed."""
    proposal = _open(number)
    if proposal.asked_by_id == by.pk:
        raise NotYours
    proposal.transfer = carry_out(proposal)
    return _end(proposal, ProposalState.CONFIRMED, by)


@transaction.atomic
def decline(number: int, by: User, why: str) -> Proposal:
    """End it without a movement; who asked may take it back so. Raises ProposalOver."""
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
    """The transfer. Raises BillingError."""
    return MOVES[proposal.kind].carry_out(proposal)


def figures(proposal: Proposal) -> list[Figure]:
    """What the movement changes: its name, the amount now, the step to the amount afterwards."""
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
    return ledger.credit(payment)


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


MOVES = {
    ProposalKind.CORRECTION: Move(_correct, _of_wallet, _takes_too_much),
    ProposalKind.REFUND: Move(_refund, _of_generation, _gives_too_much),
    ProposalKind.PAYMENT: Move(_credit, _of_wallet, _is_credited),
}


# --- Steps ---------------------------------------------------------------------------------------------


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


def _same(kept: Proposal, asked: Proposal) -> Proposal:
    if any(getattr(kept, fact) != getattr(asked, fact) for fact in ("kind", "client_id", "amount")):
        raise CauseReused
    kept.is_repeat = True
    return kept


def _open(number: int) -> Proposal:
    # Locked: of two who decide at once the second one sees what the first one has decided.
    proposal = Proposal.objects.select_for_update(of=("self",)).select_related("client", "asked_by")
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
