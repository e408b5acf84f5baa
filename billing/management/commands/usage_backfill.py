"""``manage.py usage_backfill``: count all hours anew, after an update or when they are not to be believed."""

import time
from typing import Any

from django.core.management.base import BaseCommand

from billing.usage import mark_all, sum_up


class Command(BaseCommand):
    help = (
        "Посчитать часы расхода заново по всем генерациям, час за часом. Можно прервать и повторить: "
        "что не успели, досчитает worker."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        mark_all()
        hours = sum_up()
        if hours:
            self.stdout.write(f"Посчитано часов: {hours}, за {time.monotonic() - started:.1f} с.")
        else:
            self.stdout.write("Считать нечего или сейчас считает worker: он возьмёт и отмеченное здесь.")
