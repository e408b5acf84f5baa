"""How something does, in one plain word. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.status import FEWEST, Condition, Status
from monitoring.vitals import Vitals

# First tokens that take so many times the week's median, and so many milliseconds more, are slow.
TIMES, LONGER = 2, 1_000


class Light(StrEnum):
    """From what nobody knows to the worst."""

    UNKNOWN = "unknown"
    OPERATIONAL = "operational"
    SLOW = "slow"
    DEGRADED = "degraded"
    DOWN = "down"


WORDS: dict[Light, Any] = {
    Light.UNKNOWN: _("нет данных"),
    Light.OPERATIONAL: _("работает"),
    Light.SLOW: _("медленно"),
    Light.DEGRADED: _("частично"),
    Light.DOWN: _("не работает"),
}
LIGHTS = {
    Condition.OPERATIONAL: Light.OPERATIONAL,
    Condition.DEGRADED: Light.DEGRADED,
    Condition.DOWN: Light.DOWN,
}


def light_of(status: Status, *, is_slow: bool = False) -> Light:
    """``is_slow`` matters only to what works."""
    if status.condition is not Condition.OPERATIONAL:
        return LIGHTS[status.condition]
    if status.last_updated is None:
        return Light.UNKNOWN
    return Light.SLOW if is_slow else Light.OPERATIONAL


def is_slow(vitals: Vitals, usual: float | None) -> bool:
    """``usual``: median milliseconds to the first token over a week."""
    if vitals.latency is None or usual is None or vitals.attempts < FEWEST:
        return False
    return vitals.latency.p50 > usual * TIMES and vitals.latency.p50 > usual + LONGER


def together(lights: Iterable[Light]) -> Light:
    """Of all providers: it works when each is known to, and is down when each is."""
    found = set(lights)
    if found & {Light.DEGRADED, Light.DOWN}:
        return Light.DOWN if found == {Light.DOWN} else Light.DEGRADED
    if Light.UNKNOWN in found:
        return Light.UNKNOWN
    return max(found, key=list(Light).index, default=Light.UNKNOWN)
