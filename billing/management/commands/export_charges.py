"""``manage.py export_charges --jsonl``: one line of JSON per generation."""

import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.export import charges
from billing.management.since import since


class Command(BaseCommand):
    help = "Выгрузить списания: одна строка JSON на генерацию, в порядке расчёта."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jsonl", action="store_true", required=True, help="строки JSON; иного вида нет")
        parser.add_argument(
            "--since", metavar="T", help="рассчитанные с этого момента (ISO; без пояса — Москва)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for charge in charges(since(options)):
                # In ASCII: so nothing in a line is taken for its end, whichever way it is read.
                self.stdout.write(json.dumps(charge))
        except BrokenPipeError:  # the reader has seen enough; what is still buffered goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
