"""The desks for keys and clients, where it is known which models and providers there are."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Client
from billing.admin.clients import ClientDesk
from billing.admin.keys import KeyDesk
from providers.models import Provider
from routing.models import validate_model_name

LISTS = ("order", "only", "ignore")


def validate_providers(wishes: Any) -> None:
    """Accept preferences that name nobody but providers there are.

    Requests may name anybody. In what is kept a slip would shut everybody out, or nobody.
    """
    if not isinstance(wishes, dict):
        return  # said elsewhere
    known = {slug.lower() for slug in Provider.objects.values_list("slug", flat=True)}
    for field in LISTS:
        named = wishes.get(field) or []
        if unknown := [name for name in named if name.lower() not in known]:
            raise ValidationError(
                _("Поле %(field)s: нет провайдера «%(unknown)s». Есть %(known)s."),
                params={"field": field, "unknown": "», «".join(unknown), "known": ", ".join(sorted(known))},
            )


def _knowing_providers(field: forms.Field | None, name: str) -> forms.Field | None:
    if field and name == "routing":
        field.validators.append(validate_providers)
    return field


admin.site.unregister([ApiKey, Client])


@admin.register(ApiKey)
class CatalogueKeyAdmin(KeyDesk):
    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_models":
            field.base_field.validators.append(validate_model_name)
        return _knowing_providers(field, db_field.name)


@admin.register(Client)
class CatalogueClientAdmin(ClientDesk):
    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        return _knowing_providers(super().formfield_for_dbfield(db_field, request, **kwargs), db_field.name)
