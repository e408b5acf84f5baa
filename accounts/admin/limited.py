"""What the pages of clients and keys have in common: preferences of routing."""

from django.db.models import JSONField
from django.utils.translation import gettext_lazy as _

from accounts.forms import PreferencesField

PREFERENCES = {JSONField: {"form_class": PreferencesField}}
ROUTING = (_("Маршрутизация"), {"fields": ["routing"]})
