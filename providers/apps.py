from django.apps import AppConfig

from providers import vault


class ProvidersConfig(AppConfig):
    name = "providers"
    verbose_name = "Провайдеры"

    def ready(self) -> None:
        vault.ring()  # a key that cannot be used stops the start
