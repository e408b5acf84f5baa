"""Which rows the journal watches: what operators may change, whoever changes it and by whatever way.

Not what the data plane writes: generations, transfers and holds are history themselves. Here, because it
names rows of all apps.
"""

from dataclasses import dataclass

from auditlog.registry import auditlog
from django.apps import apps


@dataclass(frozen=True)
class Watch:
    # Not told: what moves by itself, and bytes.
    apart: tuple[str, ...] = ()
    # Told to have changed, without what it was and what it is.
    secret: tuple[str, ...] = ()
    many: tuple[str, ...] = ()


WATCHED = {
    "accounts.user": Watch(("last_login",), ("password",), ("groups", "user_permissions")),
    "accounts.client": Watch(),
    "accounts.membership": Watch(),
    "accounts.invitation": Watch(("digest",)),
    # A key drawn anew has another prefix, which tells that the hash is another too.
    "accounts.apikey": Watch(("digest", "last_used_at", "wish")),
    "accounts.announcement": Watch(),
    "accounts.switch": Watch(("created", "modified")),
    "auth.group": Watch(many=("permissions",)),
    "monitoring.incident": Watch(),
    "monitoring.bulletin": Watch(),
    "billing.account": Watch(("balance", "held")),
    "billing.cap": Watch(),
    "billing.payment": Watch(),
    "billing.promobatch": Watch(),
    "billing.promocode": Watch(("used",)),
    "billing.tariff": Watch(),
    "billing.rate": Watch(),
    "providers.provider": Watch(),
    # Of a new secret the row itself tells.
    "providers.credential": Watch(("ciphertext", "updated_at")),
    "routing.model": Watch(many=("clients",)),
    "routing.endpoint": Watch(),
    "routing.alias": Watch(),
}


def watch() -> None:
    """Once, when all models are there."""
    for label, told in WATCHED.items():
        model = apps.get_model(label)
        # Named one by one: of a new row the library would tell its relations too, and ask for each.
        fields = [each.name for each in model._meta.concrete_fields if each.name not in told.apart]
        auditlog.register(
            model,
            include_fields=fields,
            mask_fields=list(told.secret),
            mask_callable="accounts.journal.hidden",
            m2m_fields=set(told.many),
        )
