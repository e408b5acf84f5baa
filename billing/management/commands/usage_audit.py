"""``manage.py usage_audit``: sums of hours beside generations and charges; exits with 1 if they differ."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.management.since import since
from billing.usage_audit import usage_audit


class Command(BaseCommand):
    help = "Сверить часы расхода с генерациями и списаниями. Код выхода 1, если что-то не сходится."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="ответить одним объектом JSON")
        parser.add_argument("--since", metavar="T", help="только с этого момента (ISO, по Москве)")

    def handle(self, *args: Any, **options: Any) -> None:
        report = usage_audit(since(options))
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _told(report))
        if not report["clean"]:
            raise CommandError("Часы расхода не сходятся.", returncode=1)


def _told(report: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"дней клиентов: {report['days']}, строк: {report['rows']}, списано {report['cost']} ₽",
            f"часов ждут пересчёта: {report['waiting']}",
            *report["examples"],
            f"не сходится: {report['differences']}; за {report['seconds']} с",
        ]
    )
