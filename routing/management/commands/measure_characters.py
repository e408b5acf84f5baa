"""``manage.py measure_characters``: have a text counted by the models, for prices per thousand characters."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from routing.models import Model
from routing.pages.densities import NotMeasured, due, measure


class Command(BaseCommand):
    help = "Измерить, сколько знаков русского текста в токене моделей: два коротких запроса к каждой."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "models", nargs="*", metavar="модель", help="какие; без имён — те, что давно не мерили"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        for model in self._named(options["models"]) if options["models"] else due(now):
            try:
                self.stdout.write(f"{model.slug}: {measure(model, now).characters_per_token:.2f}")
            except NotMeasured as exc:
                self.stderr.write(f"{model.slug}: не измерено: {exc}")

    def _named(self, names: list[str]) -> list[Model]:
        found = {model.slug: model for model in Model.objects.filter(slug__in=names)}
        if unknown := [name for name in names if name not in found]:
            raise CommandError(f"Нет модели {', '.join(unknown)}.")
        return [found[name] for name in names]
