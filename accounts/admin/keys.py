"""The operators' desk for keys: what they may do, and what stops and starts them. Nobody sees a key again."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RangeDateFilter
from unfold.decorators import display

from accounts.admin.limited import PREFERENCES, ROUTING
from accounts.admin.search import FindsByKey, keys_like
from accounts.admin.steps import HasSteps, NoteForm, Step
from accounts.forms import KeyForm
from accounts.models import LIMITS, ApiKey, validate_network


def shown_once(plaintext: str) -> SafeString:
    return format_html(gettext("Ключ <code>{}</code> показан один раз: сохраните его сейчас."), plaintext)


def state_of(key: ApiKey) -> tuple[str, Any]:
    """In which state a key is, as a word for templates and one for people."""
    if key.removed_at is not None:
        return "disabled", _("удалён")
    if key.disabled_at is not None:
        return "disabled", _("отключён")
    if key.is_expired():
        return "expired", _("истёк")
    return ("replaced", _("заменён, дорабатывает")) if key.successor_id else ("works", _("работает"))


class Disable(Step):
    slug, title, icon = "disable", _("Отключить"), "block"
    permission, hurts, form = "accounts.change_apikey", True, NoteForm

    def objection(self, key: ApiKey) -> Any:
        return _("Ключ уже отключён.") if key.disabled_at else ""

    def consequences(self, key: ApiKey) -> list[Any]:
        return [
            _("Не позже чем через секунду каждый новый запрос с этим ключом получит отказ 401."),
            _("Ответы, которые уже идут, дойдут до конца и будут оплачены."),
            _("Другие ключи клиента работают дальше. Этот можно включить снова."),
        ]

    def take(self, request: HttpRequest, key: ApiKey, typed: dict[str, Any]) -> tuple[Any, None]:
        key.disabled_at = timezone.now()
        key.save(update_fields=["disabled_at"])
        messages.success(request, _("Ключ отключён."))
        return gettext("Отключён"), None


class Enable(Step):
    slug, title, icon = "enable", _("Включить"), "play_arrow"
    permission, form = "accounts.change_apikey", NoteForm

    def objection(self, key: ApiKey) -> Any:
        if key.removed_at:
            return _("Клиент удалил этот ключ навсегда.")
        return "" if key.disabled_at else _("Ключ не отключён.")

    def consequences(self, key: ApiKey) -> list[Any]:
        if key.is_expired():
            return [_("Срок ключа прошёл: чтобы он заработал, нужен и новый срок.")]
        return [_("Не позже чем через секунду ключ заработает снова.")]

    def take(self, request: HttpRequest, key: ApiKey, typed: dict[str, Any]) -> tuple[Any, None]:
        key.disabled_at = None
        key.save(update_fields=["disabled_at"])
        messages.success(request, _("Ключ включён."))
        return gettext("Включён"), None


@admin.register(ApiKey)
class ApiKeyAdmin(HasSteps, FindsByKey):
    """A new key is shown in one message after it is made; afterwards nobody can see it."""

    formfield_overrides = PREFERENCES
    form = KeyForm
    list_display = ["prefix", "label", "client", "kind", "created_at", "last_used_at", "expires_at", "state"]
    list_filter = [
        ("kind", ChoicesCheckboxFilter),
        ("disabled_at", admin.EmptyFieldListFilter),
        ("created_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["client"]
    list_per_page = 50
    search_fields = ["prefix", "label", "client__name"]
    like = staticmethod(keys_like)
    search_help_text = _("Начало ключа, его название или название клиента.")
    autocomplete_fields = ["client"]
    actions = ["disable"]
    steps = [Disable(), Enable()]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "client",
                    ("label", "kind"),
                    ("prefix", "state_told"),
                    "expires_at",
                    "successor",
                    "allowed_models",
                    "allowed_addresses",
                    ("created_at", "created_by"),
                    "last_used_at",
                ]
            },
        ),
        (_("Лимиты"), {"fields": LIMITS, "description": _("Пусто — без отдельного лимита.")}),
        ROUTING,
    ]

    @display(
        description=_("состояние"),
        label={"works": "success", "replaced": "warning", "expired": "danger", "disabled": "danger"},
    )
    def state(self, key: ApiKey) -> tuple[str, Any]:
        return state_of(key)

    @display(description=_("состояние"))
    def state_told(self, key: ApiKey) -> Any:
        return state_of(key)[1] if key.pk else None

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        ours = ["prefix", "state_told", "successor", "created_at", "created_by", "last_used_at"]
        return ours if obj is None else [*ours, "client", "kind"]

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_addresses":
            # Checked by the form too: of what the model says about an item Django shows only the beginning.
            field.base_field.validators.append(validate_network)
        return field

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.Form, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        obj.created_by = request.user
        plaintext = obj.draw()
        super().save_model(request, obj, form, change)
        return self.message_user(request, shown_once(plaintext), messages.WARNING)

    @admin.action(description=_("Отключить"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        working = list(queryset.filter(disabled_at=None))
        for key in working:  # one by one: the journal sees what is saved, and nothing of an update
            key.disabled_at = timezone.now()
            key.save(update_fields=["disabled_at"])
            self.log_change(request, key, gettext("Отключён"))
        self.message_user(request, _("Отключено ключей: %d.") % len(working))
