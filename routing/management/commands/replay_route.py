"""``manage.py replay_route``: decide again, from what was kept, who was to answer."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from billing.models import Generation
from routing.replay import Unrepeatable, replayed


def positive(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    raise ArgumentTypeError(f"нужно целое число больше 0, а не «{text}»")


class Command(BaseCommand):
    help = "Повторить выбор исполнителя по записи генерации и сравнить с тем, что было выбрано."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--id", help="gen-… : показать таблицу выбора одной генерации")
        which.add_argument(
            "--last", type=positive, metavar="N", help="повторить последние N и сосчитать различия"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["id"]:
            self._show(options["id"])
        else:
            self._count(options["last"])

    def _show(self, name: str) -> None:
        try:
            generation = Generation.objects.get(pk=name.removeprefix("gen-"))
        except (Generation.DoesNotExist, ValidationError) as exc:
            raise CommandError(f"Нет генерации {name}.") from exc
        try:
            again = replayed(generation)
        except Unrepeatable as exc:
            raise CommandError(str(exc)) from exc
        told = again.table(is_public=False)
        self.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        if not again.is_identical:
            raise CommandError("Выбор повторился иначе.")

    def _count(self, most: int) -> None:
        newest = Generation.objects.filter(route__isnull=False).order_by("-created_at")[:most]
        identical = other = lost = 0
        for generation in newest.iterator(chunk_size=500):
            try:
                again = replayed(generation)
            except Unrepeatable:
                lost += 1
                continue
            identical += again.is_identical
            other += not again.is_identical
        self.stdout.write(
            f"Повторено: {identical + other}, одинаково: {identical}, без версии каталога: {lost}."
        )
        if other:
            raise CommandError(f"Иначе: {other}.")
