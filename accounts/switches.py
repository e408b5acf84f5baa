"""What operators switch off without a release. A switch that has no row is on.

No value is kept in a process: a page asks the database each time, so that a switch turned in one process is
turned in all at once. Nothing on the way of an inference request may ask.
"""

from dataclasses import dataclass
from typing import Any

import waffle
from django.utils.translation import gettext_lazy as _

PROMO_CODES = "promo_codes"
DASHBOARD = "dashboard"


@dataclass(frozen=True)
class Told:
    title: Any
    when_off: Any


SWITCHES = {
    PROMO_CODES: Told(
        _("Промокоды"),
        _("Выключено: кабинет не принимает промокоды и говорит об этом. Уже зачисленное остаётся."),
    ),
    DASHBOARD: Told(
        _("Кабинет клиентов"),
        _("Выключено: вместо кабинета — страница о технических работах. Запросы по API идут как обычно."),
    ),
}


def is_on(name: str) -> bool:
    return waffle.switch_is_active(name)


def establish() -> None:
    """A row for each switch that has none yet, turned on; those there are stay as they are."""
    model = waffle.get_waffle_switch_model()
    for name in SWITCHES:
        model.objects.get_or_create(name=name, defaults={"active": True})
