from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from providers import vault


class ProvidersConfig(AppConfig):
    name = "providers"
    verbose_name = _("Провайдеры")

    def ready(self) -> None:
        vault.ring()  # a key that cannot be used stops the start
