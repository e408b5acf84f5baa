"""The desk for keys, where it is known which models there are and what a key may spend."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from accounts.admin import ApiKeyAdmin
from accounts.models import ApiKey
from billing.admin.caps import CapInline
from routing.models import validate_model_name

admin.site.unregister(ApiKey)


@admin.register(ApiKey)
class CatalogueKeyAdmin(ApiKeyAdmin):
    inlines = [CapInline]

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_models":
            field.base_field.validators.append(validate_model_name)
        return field
