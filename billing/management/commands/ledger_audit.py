"""``manage.py ledger_audit``: the invariants of the books, counted; exits with 1 if any is broken."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.audit import audit
from billing.management.since import since


class Command(BaseCommand):
    help = "Сверить книги: остатки, резервы, списания, возвраты. Код выхода 1, если что-то не сходится."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="ответить одним объектом JSON")
        parser.add_argument(
            "--since",
            metavar="T",
            help="историю — только с этого московского дня (ISO); остатки сверяются всегда целиком",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = audit(since(options))
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _told(report))
        if not report["clean"]:
            raise CommandError("Книги не сходятся.", returncode=1)


def _told(report: dict[str, Any]) -> str:
    lines = [f"{'':8}{'проверено':>10}{'не сходится':>13}{'на заметку':>12}"]
    for name, check in report["checks"].items():
        counts = f"{check['checked']:>10}{check['differences']:>13}{check['noted']:>12}"
        lines.append(f"{name:8}{counts}  {check['says']}")
        lines += [f"{'':45}{example}" for example in check["examples"]]
    holds, expired, overrun = report["holds"], report["expired"], report["overrun"]
    return "\n".join(
        [
            *lines,
            "",
            *(f"{name}: {amount} ₽" for name, amount in report["sums"].items()),
            f"открытых резервов: {holds['open']} на {holds['amount']} ₽, "
            f"старшему {holds['oldest_seconds']} с",
            f"потеряно при сбоях: {expired['count']}, было в резерве {expired['held']} ₽",
            f"перерасход за наш счёт: {overrun['count']} на {overrun['amount']} ₽",
            f"токены оценены нами: {report['estimated']}",
            "",
            f"{report['at']}, за {report['seconds']} с: {'сходится' if report['clean'] else 'НЕ СХОДИТСЯ'}",
        ]
    )
