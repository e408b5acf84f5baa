"""How long credentials are let alone; their places are tested with who asks for them."""

import asyncio

import pytest
from redis.asyncio import Redis

from billing.windows import Windows
from providers.errors import Busy, DeadCredential, UpstreamError
from routing.slots import Slots
from tests.gateways import login

LONGEST = 300.0


@pytest.fixture
def slots() -> Slots:
    return Slots(Windows(Redis(), share=1))


class Clock:
    """The loop's, as the test likes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("asked", "let_alone"), [(1.0, 1.0), (299.0, 299.0), (86_400.0, LONGEST), (float("inf"), LONGEST)]
)
async def test_a_credential_is_let_alone_as_asked_but_never_for_long(
    slots: Slots, monkeypatch: pytest.MonkeyPatch, asked: float, let_alone: float
) -> None:
    clock = Clock(monkeypatch)

    slots.pause(login(), asked, Busy(retry_after=asked))

    clock.passes(let_alone - 0.5)
    reason = slots.paused_by(login())
    assert isinstance(reason, Busy)
    assert reason.retry_after == pytest.approx(0.5)
    clock.passes(0.5)
    assert slots.paused_by(login()) is None


async def test_a_shorter_pause_does_not_end_a_longer_one(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, dead = Clock(monkeypatch), DeadCredential()

    slots.pause(login(), 60, dead)
    slots.pause(login(), 1, Busy(retry_after=1))

    clock.passes(59)
    assert slots.paused_by(login()) is dead


@pytest.mark.parametrize("reason", [Busy(retry_after=60), DeadCredential()], ids=["busy", "refused"])
async def test_only_the_one_is_let_alone_until_something_changes(slots: Slots, reason: UpstreamError) -> None:
    slots.pause(login(1), 60, reason)
    assert type(slots.paused_by(login(1))) is type(reason)
    assert slots.paused_by(login(2)) is None

    slots.resume()

    assert slots.paused_by(login(1)) is None
