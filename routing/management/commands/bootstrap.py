"""``manage.py bootstrap``: the catalogue from its file, providers from the environment, operators' roles.

Safe to repeat.
"""

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from accounts import roles, switches
from routing.bootstrap import bootstrap


class Command(BaseCommand):
    help = "Создать недостающее в каталоге и прочитать переменные провайдеров. Можно повторять."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(bootstrap(os.environ))
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        roles.establish()
        switches.establish()
