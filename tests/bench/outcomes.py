"""What health costs by itself: counting an outcome, and working out the vitals of all endpoints."""

import time

from redis.asyncio import Redis

from monitoring.health import Health
from monitoring.tally import Outcome

NOWHERE = "redis://127.0.0.1:1/0"  # neither counting nor working out asks Redis
ENDPOINTS, EACH, ROUNDS = 50, 100, 20


def counting() -> dict[str, float]:
    """Microseconds of CPU: of an outcome, and of a renewal, which comes about once a second."""
    outcomes = [
        Outcome(number, first_token=0.01 * n, duration=0.02 * n, tokens=9 + n)
        for n in range(1, EACH + 1)
        for number in range(ENDPOINTS)
    ]
    counted, renewed = zip(*(_round(outcomes) for _ in range(ROUNDS)), strict=True)
    return {
        "an outcome counted": min(counted) / len(outcomes) * 1e6,
        f"vitals of {ENDPOINTS} endpoints": min(renewed) * 1e6,
    }


def _round(outcomes: list[Outcome]) -> tuple[float, float]:
    health = Health(Redis.from_url(NOWHERE))
    begun = time.process_time()
    for outcome in outcomes:
        health.record(outcome)
    counted = time.process_time()
    health._renew_all()
    renewed = time.process_time()
    if len(health.vitals()) != ENDPOINTS:
        raise SystemExit(f"{len(health.vitals())} of {ENDPOINTS} endpoints have vitals")
    return counted - begun, renewed - counted
