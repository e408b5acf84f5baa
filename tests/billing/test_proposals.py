"""Large movements: one operator asks, another one signs. What nobody may sign, and what is moved once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Client, User
from billing import batches, ledger, proposals
from billing.errors import BillingError, CauseReused, NotYours, PromoRefused, ProposalOver, TooMuch
from billing.models import (
    Account,
    Generation,
    Payment,
    PromoBatch,
    PromoCode,
    Proposal,
    ProposalKind,
    ProposalState,
    Transfer,
)
from billing.money import as_roubles, roubles
from billing.tasks import expire_proposals
from tests.builders import make_client, make_generation, make_user, open_our_accounts
from tests.database import own_connection

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _alone_up_to_a_thousand(settings):
    settings.XROUTER_SECOND_SIGNATURE_ABOVE = 1000


@pytest.fixture
def operator() -> User:
    return make_user(is_staff=True)


@pytest.fixture
def other() -> User:
    return make_user(is_staff=True)


def correction(client: Client, by: User, amount: str, cause: str = "") -> Proposal:
    facts = {"reason": "акт 7", "cause": cause or f"correction {uuid4()}"}
    return Proposal(kind=ProposalKind.CORRECTION, client=client, amount=roubles(amount), asked_by=by, **facts)


def refund(generation: Generation, by: User, amount: str) -> Proposal:
    facts = {"reason": "сбой", "cause": f"refund {uuid4()}", "generation": generation.pk}
    return Proposal(
        kind=ProposalKind.REFUND, client=generation.client, amount=roubles(amount), asked_by=by, **facts
    )


def payment(client: Client, by: User, amount: str, number: str = "п-17") -> Proposal:
    facts = {
        "reason": "счёт 7",
        "cause": f"payment {number}",
        "number": number,
        "received_at": timezone.now(),
    }
    return Proposal(kind=ProposalKind.PAYMENT, client=client, amount=roubles(amount), asked_by=by, **facts)


def balance(client: Client) -> str:
    return as_roubles(ledger.wallet_of(client).balance)


# --- Alone, or by two --------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["1000", "-1000", "0.000001"])
def test_up_to_the_threshold_one_is_enough(operator, amount):
    client = make_client(balance="1000")

    done = proposals.submit(correction(client, operator, amount))

    assert done.transfer is not None
    assert not Proposal.objects.exists()


@pytest.mark.parametrize("amount", ["1000.000001", "-1000.000001"])
def test_above_it_nothing_moves_until_somebody_signs(operator, amount):
    client = make_client(balance="2000")

    asked = proposals.submit(correction(client, operator, amount))

    assert asked.transfer is None
    assert Proposal.objects.get().state == ProposalState.WAITING
    assert balance(client) == "2000"


def test_what_is_moved_in_slices_counts_together(operator):
    client = make_client()
    proposals.submit(correction(client, operator, "600"))

    asked = [
        proposals.submit(each)
        for each in (correction(client, operator, "-401"), payment(client, operator, "401"))
    ]

    assert [each.transfer for each in asked] == [None, None]
    assert proposals.submit(correction(client, operator, "400")).transfer is not None


def test_slices_of_refunds_count_together_too(operator):
    generation = make_generation(make_client(), cost=roubles("5000"))
    proposals.submit(refund(generation, operator, "999"))

    assert proposals.submit(refund(generation, operator, "2")).transfer is None


def test_what_others_moved_or_for_others_does_not_count(operator, other):
    client = make_client()
    proposals.submit(correction(client, other, "900"))
    proposals.submit(correction(make_client(), operator, "900"))

    assert proposals.submit(correction(client, operator, "900")).transfer is not None


def test_what_two_have_signed_does_not_count(operator, other):
    client = make_client()
    proposals.confirm(proposals.submit(correction(client, operator, "5000")).pk, other)

    assert proposals.submit(correction(client, operator, "1000")).transfer is not None


def test_a_second_click_is_no_second_slice(operator):
    client = make_client()
    proposals.submit(correction(client, operator, "900", cause="correction 1"))

    again = proposals.submit(correction(client, operator, "900", cause="correction 1"))

    assert again.transfer.is_repeat
    assert balance(client) == "900"


def test_asking_twice_asks_once(operator):
    client = make_client()
    first = proposals.submit(correction(client, operator, "5000", cause="correction 1"))

    again = proposals.submit(correction(client, operator, "5000", cause="correction 1"))

    assert again.is_repeat
    assert again.pk == first.pk


def test_asking_twice_for_different_amounts_is_refused(operator):
    client = make_client()
    proposals.submit(correction(client, operator, "5000", cause="correction 1"))

    with pytest.raises(CauseReused):
        proposals.submit(correction(client, operator, "6000", cause="correction 1"))


# --- The second signature ----------------------------------------------------------------------------


def test_a_signed_correction_is_moved_for_who_asked(operator, other):
    client = make_client()
    asked = proposals.submit(correction(client, operator, "5000"))

    done = proposals.confirm(asked.pk, other)

    assert balance(client) == "5000"
    assert (done.state, done.decided_by) == (ProposalState.CONFIRMED, other)
    assert (done.transfer.created_by, done.transfer.note) == (operator.email, "акт 7")


def test_a_signed_payment_is_entered_and_credited(operator, other):
    client = make_client()
    asked = proposals.submit(payment(client, operator, "5000"))
    assert not Payment.objects.exists()

    proposals.confirm(asked.pk, other)

    entered = Payment.objects.get()
    assert (entered.number, entered.client, entered.created_by) == ("п-17", client, operator.email)
    assert Transfer.objects.get().cause == "payment п-17"


def test_a_signed_refund_is_of_its_generation(operator, other):
    generation = make_generation(make_client(), cost=roubles("5000"))
    asked = proposals.submit(refund(generation, operator, "4000"))

    proposals.confirm(asked.pk, other)

    generation.refresh_from_db()
    assert generation.refunded == roubles("4000")


@pytest.mark.parametrize("is_superuser", [False, True])
def test_nobody_signs_what_he_has_asked_for(operator, is_superuser):
    client = make_client()
    asked = proposals.submit(correction(client, operator, "5000"))
    User.objects.filter(pk=operator.pk).update(is_superuser=is_superuser)

    with pytest.raises(NotYours):
        proposals.confirm(asked.pk, User.objects.get(pk=operator.pk))

    assert balance(client) == "0"


def test_the_database_too_wants_two_people(operator, other):
    asked = proposals.submit(correction(make_client(), operator, "5000"))
    proposals.confirm(asked.pk, other)

    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.update(decided_by=operator)


def test_signing_twice_moves_once(operator, other):
    client = make_client()
    asked = proposals.submit(correction(client, operator, "5000"))
    proposals.confirm(asked.pk, other)

    with pytest.raises(ProposalOver):
        proposals.confirm(asked.pk, make_user())

    assert balance(client) == "5000"


def test_what_has_become_impossible_moves_nothing_and_still_waits(operator, other):
    client = make_client(balance="5000")
    asked = proposals.submit(correction(client, operator, "-5000"))
    proposals.submit(correction(client, other, "-1"))

    with pytest.raises(TooMuch):
        proposals.confirm(asked.pk, other)

    asked.refresh_from_db()
    assert (asked.state, balance(client)) == (ProposalState.WAITING, "4999")
    assert "Сумма больше" in proposals.objection(asked)


def test_a_payment_whose_number_was_credited_meanwhile_moves_nothing(operator, other):
    client = make_client()
    asked = proposals.submit(payment(client, operator, "5000"))
    ledger.credit(Payment.objects.create(number="п-17", client=client, amount=roubles("7"), reason="x"))

    with pytest.raises(CauseReused):
        proposals.confirm(asked.pk, other)

    assert balance(client) == "7"


def test_what_was_declined_is_over_and_may_be_asked_for_anew(operator, other):
    client = make_client()
    asked = proposals.submit(payment(client, operator, "5000"))
    proposals.decline(asked.pk, other, "не тот клиент")

    with pytest.raises(ProposalOver):
        proposals.confirm(asked.pk, other)
    again = proposals.submit(payment(client, operator, "5000"))

    asked.refresh_from_db()
    assert (asked.decision, asked.decided_by) == ("не тот клиент", other)
    assert again.pk != asked.pk


def test_after_a_week_it_is_too_late_whether_or_not_the_clock_has_run(operator, other):
    client = make_client()
    asked = proposals.submit(correction(client, operator, "5000", cause="correction 1"))
    Proposal.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(ProposalOver):
        proposals.confirm(asked.pk, other)
    expire_proposals()

    asked.refresh_from_db()
    assert asked.state == ProposalState.EXPIRED
    assert not Proposal.objects.waiting().exists()
    assert not proposals.submit(correction(client, operator, "5000", cause="correction 1")).is_repeat


def test_a_proposal_waits_for_a_week(operator):
    asked = proposals.submit(correction(make_client(), operator, "5000"))

    assert asked.expires_at - asked.asked_at == timedelta(days=7)


def test_what_there_is_not_cannot_be_signed(other):
    with pytest.raises(BillingError):
        proposals.confirm(1, other)


# --- What only allows money to move ------------------------------------------------------------------


def promo(by: User, amount: str, count: int = 1, uses: int = 1, until: datetime | None = None) -> Proposal:
    batch = PromoBatch(note="ярмарка", created_by=by)
    batches.issue(batch, amount=roubles(amount), count=count, max_uses=uses, expires_at=until)
    worth = roubles(amount) * count * uses
    asked = Proposal(kind=ProposalKind.PROMO, batch=batch, amount=worth, reason="ярмарка", asked_by=by)
    asked.cause = f"promo {batch.pk}"
    return asked


def overdraft(client: Client, by: User, limit: str) -> Proposal:
    facts = {"reason": "договор 7", "cause": f"overdraft {uuid4()}"}
    return Proposal(kind=ProposalKind.OVERDRAFT, client=client, amount=roubles(limit), asked_by=by, **facts)


def are_on(asked: Proposal) -> set[bool]:
    return {*asked.batch.codes.values_list("is_enabled", flat=True)}


def test_a_small_batch_of_codes_is_on_at_once(operator):
    asked = proposals.submit(promo(operator, "100", count=5, uses=2))

    assert are_on(asked) == {True}
    assert not PromoBatch.objects.get().is_unsigned and not Proposal.objects.exists()


@pytest.mark.parametrize(("amount", "count", "uses"), [("1000.01", 1, 1), ("1", 1001, 1), ("1", 1, 1001)])
def test_a_large_one_is_off_until_another_has_signed(operator, other, amount, count, uses):
    asked = proposals.submit(promo(operator, amount, count, uses))
    assert (are_on(asked), asked.batch.is_unsigned) == ({False}, True)
    with pytest.raises(PromoRefused):
        ledger.redeem(make_client(), asked.batch.codes.first().code)
    with pytest.raises(NotYours):
        proposals.confirm(asked.pk, operator)

    done = proposals.confirm(asked.pk, other)

    assert (done.state, done.transfer, are_on(done)) == (ProposalState.CONFIRMED, None, {True})
    assert ledger.redeem(make_client(), asked.batch.codes.first().code).amount == roubles(amount)


def test_batches_and_codes_of_one_operator_count_together_and_signed_ones_do_not(operator, other):
    proposals.confirm(proposals.submit(promo(operator, "5000")).pk, other)
    proposals.submit(promo(operator, "600"))
    proposals.submit(promo(other, "900"))

    assert proposals.may_issue(roubles("400"), operator, None)
    assert not proposals.may_issue(roubles("400.01"), operator, None)
    assert proposals.submit(promo(operator, "401")).pk
    PromoCode.objects.update(issued_at=timezone.now() - timedelta(hours=25))
    assert proposals.may_issue(roubles("1000"), operator, None)


def test_codes_whose_time_is_over_are_not_put_into_circulation(operator, other):
    asked = proposals.submit(promo(operator, "5000", until=timezone.now() + timedelta(days=1)))
    asked.batch.codes.update(expires_at=timezone.now())

    with pytest.raises(BillingError):
        proposals.confirm(asked.pk, other)

    assert are_on(asked) == {False}
    assert "Срок этих кодов" in proposals.objection(asked)


def test_a_signed_overdraft_is_raised_by_the_signature(operator, other):
    client = make_client()
    asked = proposals.ask(overdraft(client, operator, "5000"))
    assert ledger.wallet_of(client).credit_limit == 0
    assert proposals.figures(asked)[0][1:] == (0, roubles("5000"))

    proposals.confirm(asked.pk, other)

    assert ledger.wallet_of(client).credit_limit == roubles("5000")


def test_an_overdraft_that_is_as_high_by_now_is_not_lowered(operator, other):
    client = make_client()
    asked = proposals.ask(overdraft(client, operator, "5000"))
    Account.objects.filter(client=client).update(credit_limit=roubles("6000"))

    with pytest.raises(BillingError):
        proposals.confirm(asked.pk, other)

    assert ledger.wallet_of(client).credit_limit == roubles("6000")
    assert "Овердрафт уже не меньше" in proposals.objection(asked)


@pytest.mark.parametrize(
    ("now", "limit", "alone"),
    [("0", "1000", True), ("0", "1000.01", False), ("5000", "4000", True), ("5000", "5001", False)],
)
def test_an_overdraft_falls_alone_and_rises_above_the_threshold_by_two(now, limit, alone):
    wallet = Account(credit_limit=roubles(now))

    assert proposals.may_overdraw(wallet, roubles(limit)) is alone


# --- At once -----------------------------------------------------------------------------------------


def at_once(count: int, act) -> list:
    """What ``act(number)`` returns or raises, in as many threads that start together."""
    start = Barrier(count)

    @own_connection()
    def run(number: int):
        try:
            start.wait()
            return act(number)
        except BillingError as exc:
            return type(exc)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_signatures_at_once_move_once_and_slices_at_once_do_not_get_by(operator):
    open_our_accounts()
    client = make_client()
    others = [make_user() for _ in range(4)]
    asked = proposals.submit(correction(client, operator, "5000"))

    answers = at_once(4, lambda number: proposals.confirm(asked.pk, others[number]).state)
    assert sorted(map(str, answers)) == sorted(map(str, [ProposalState.CONFIRMED, *[ProposalOver] * 3]))
    assert balance(client) == "5000"

    sliced = at_once(
        4, lambda _number: proposals.submit(correction(client, operator, "400")).transfer is not None
    )
    assert sorted(sliced) == [False, False, True, True]
    assert balance(client) == "5800"

    issued = at_once(4, lambda _number: proposals.submit(promo(operator, "400")).pk is None)
    assert sorted(issued) == [False, False, True, True]
