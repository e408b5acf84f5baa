"""``manage.py seed_demo``: fill an installation with invented clients, requests and money."""

import json
import os
import time
from argparse import ArgumentParser
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.audit import audit
from billing.snapshot import alone
from providers.vault import VaultError
from routing.bootstrap import bootstrap
from routing.demo import writing
from routing.demo.audits import keep_audits
from routing.demo.fill import LARGE, SMALL, CannotFill, Filled, Order, Scale, fill, is_filled, others
from routing.demo.names import MARK
from routing.management.commands.replay_route import positive
from routing.models import Model

ALREADY = f"Данные для демонстрации уже есть (клиенты с пометкой «{MARK}»): ничего не изменено."
NOT_AMONG = (
    "Здесь уже есть клиенты, которых завели люди: {}. Данные для демонстрации удалить нельзя, переводы "
    "остаются навсегда: возьмите для них отдельную базу. Если смешать их нужно, добавьте --among-others."
)


class Command(BaseCommand):
    help = (
        "Наполнить установку вымышленными данными: клиенты с пометкой «(демо)», ключи, генерации, деньги. "
        "Удалить их нельзя, переводы остаются навсегда: для этого нужна отдельная база. "
        "Второй раз ничего не делает."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--large", action="store_true", help="5000 клиентов, 200 000 генераций, 1 000 000 переводов"
        )
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="с тем же числом — те же данные")
        parser.add_argument(
            "--days", type=positive, metavar="D", help="за сколько дней; обычно 14, с --large 90"
        )
        parser.add_argument("--json", action="store_true", help="ответить одним объектом JSON")
        parser.add_argument(
            "--among-others", action="store_true", help="и там, где уже есть настоящие клиенты"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scale = LARGE if options["large"] else SMALL
        if options["days"]:
            scale = replace(scale, days=options["days"])
        with alone("seed_demo") as is_alone:
            if not is_alone:
                raise CommandError("Данные для демонстрации уже создаёт кто-то другой.")
            if is_filled():
                self._tell({"filled": False}, ALREADY, options)
                return
            if (count := others()) and not options["among_others"]:
                raise CommandError(NOT_AMONG.format(count))
            self._fill(scale, options)

    def _fill(self, scale: Scale, options: dict[str, Any]) -> None:
        started, now = time.monotonic(), timezone.now()
        # Progress is no part of an answer for programs.
        say = (self.stderr if options["json"] else self.stdout).write
        try:
            if not Model.objects.exists():
                bootstrap(os.environ)
            order = Order(scale, options["seed"], now, lambda step: say(f"{_since(started):6.1f} с  {step}"))
            filled = fill(order)
        except (CannotFill, ImproperlyConfigured, VaultError) as exc:
            raise CommandError(str(exc)) from exc
        writing.look_at_tables()
        report = audit()
        keep_audits(report, now - timedelta(days=scale.days))
        seconds = round(_since(started), 1)
        told = {"filled": True, **asdict(filled), "clean": report["clean"], "seconds": seconds}
        self._tell(told, _told(filled, seconds), options)
        if not report["clean"]:
            raise CommandError("Книги не сходятся: manage.py ledger_audit скажет, где.")

    def _tell(self, told: dict[str, Any], said: str, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(told) if options["json"] else said)


def _since(started: float) -> float:
    return time.monotonic() - started


def _told(filled: Filled, seconds: float) -> str:
    return (
        f"Создано за {seconds} с: клиентов {filled.clients}, людей {filled.people}, ключей {filled.keys}, "
        f"генераций {filled.generations}, переводов {filled.transfers}, платежей {filled.payments}, "
        f"открытых резервов {filled.holds}.\n"
        "Страницы клиента, у которого больше всего расходов, видит его владелец; пароль ему даст\n"
        f"  manage.py create_login {filled.visit}"
    )
