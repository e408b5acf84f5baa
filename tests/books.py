"""Books in which everything that may happen has happened, by the functions that the product uses."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from accounts.models import ApiKey
from billing import ledger
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.models import Cap, Generation, Payment, PromoCode, Reset, Shift
from billing.money import Micro, roubles
from billing.pricing import Price, cost_of
from tests.builders import make_client, make_key, open_our_accounts

PRICE = Price(
    prompt=roubles("500"),
    completion=roubles("1500.5"),
    cached_prompt=roubles("100"),
    reasoning=roubles("2000"),
)


def make_hold(key: ApiKey, amount: str = "5", *, seconds: float = 600, **fields: Any) -> UUID:
    """Put roubles on hold for a request of ``key``."""
    ask = Ask(uuid4(), key.client_id, key.pk, roubles(amount), roubles(amount), seconds, **fields)
    ledger.place_hold(ask)
    return ask.id


def make_record(key: ApiKey, generation_id: UUID, name: str = "paid", **fields: Any) -> GenerationRecord:
    """What the teller is told of an answer; it costs what its tokens cost at PRICE."""
    facts: dict[str, Any] = {
        "created_at": timezone.now(),
        "request_id": name,
        "model_requested": "gigachat/pro",
        "model": "gigachat/pro",
        "provider": "gigachat",
        "streamed": False,
        "is_test": False,
        "status": "ok",
        "http_status": 200,
        "tokens_prompt": 1_001,
        "tokens_completion": 333,
        "tokens_cached": 10,
        "tokens_reasoning": 7,
        "usage_source": "provider",
        "price": PRICE,
        "attempts": [{"provider": "gigachat", "outcome": "ok"}],
        **fields,
    }
    facts.setdefault("cost", _cost(facts))
    return GenerationRecord(id=generation_id, client_id=key.client_id, key_id=key.pk, **facts)


def spend(key: ApiKey, name: str = "paid", *, hold: str = "5", **fields: Any) -> Generation:
    """One request from hold to settlement."""
    generation_id = make_hold(key, hold)
    ledger.settle(make_record(key, generation_id, name, **fields))
    return Generation.objects.get(pk=generation_id)


def full_books() -> ApiKey:
    """A client of whom there is a bit of everything; its main key."""
    open_our_accounts()
    client = make_client("Ромашка")
    ledger.credit(Payment.objects.create(number="17", client=client, amount=roubles("100"), reason="счёт 5"))
    PromoCode.objects.create(code="ЛЕТО", amount=roubles("5"))
    ledger.redeem(client, "ЛЕТО")
    ledger.correct(client, -roubles("1"), cause="correction 1", note="ошибка")
    key = make_key(client)[0]
    Cap.objects.create(key=key, amount=roubles("90"), reset=Reset.MONTHLY)

    spend(key)
    spend(key, "estimated", usage_source="estimated")
    spend(key, "overrun", hold="0.5")
    spend(key, "failed", status="failed", http_status=502, tokens_completion=0, tokens_reasoning=0, cost=0)
    spend(key, "broken", status="failed", http_status=502)
    spend(key, "cancelled", status="cancelled", http_status=499)
    lost = make_record(key, make_hold(key), "lost").without_texts()
    ledger.settle(lost)
    ledger.refund(spend(key, "refunded"), roubles("0.25"), cause="refund 1")
    _expire(key)
    ledger.settle(make_record(key, _expire(key), "late"))
    spend(make_key(client, kind="test")[0], "test", is_test=True, cost=0)
    gone = make_key(client)[0]
    spend(gone, "of a key that is gone")
    gone.delete()
    at_work = Shift.objects.create(id=uuid4(), alive_until=timezone.now() + timedelta(minutes=1))
    make_hold(key, "3", shift_id=at_work.pk)
    return key


def _expire(key: ApiKey) -> UUID:
    generation_id = make_hold(key, "2", seconds=0)
    ledger.reap()
    return generation_id


def _cost(facts: dict[str, Any]) -> Micro:
    usage = {
        "prompt_tokens": facts["tokens_prompt"],
        "completion_tokens": facts["tokens_completion"],
        "prompt_tokens_details": {"cached_tokens": facts["tokens_cached"]},
        "completion_tokens_details": {"reasoning_tokens": facts["tokens_reasoning"]},
    }
    return cost_of(facts["price"], usage)
