"""The operators' desk for keys, where it is known what they may spend: so they are replaced by their like."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin.keys import ApiKeyAdmin, shown_once
from accounts.admin.steps import NoteForm, Step
from accounts.models import ApiKey
from accounts.moments import to_minute
from billing.admin.caps import CapInline
from billing.rotation import rotate

HOUR, DAY = 3600, 86_400
GRACES = [(0, _("отключить сразу")), (HOUR, _("1 час")), (DAY, _("24 часа")), (7 * DAY, _("7 дней"))]


class RotateForm(NoteForm):
    grace = forms.TypedChoiceField(
        label=_("Старый ключ работает ещё"),
        choices=GRACES,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=DAY,
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ["grace", "reason"]


class Rotate(Step):
    slug, title, icon = "rotate", _("Перевыпустить"), "autorenew"
    permission, form = "accounts.rotate_apikey", RotateForm

    def objection(self, key: ApiKey) -> Any:
        if key.for_playground:
            return _("Ключ песочницы не выпускают заново: его нет ни у кого.")
        if key.successor_id:
            return _("Этот ключ уже заменён другим: %s.") % key.successor
        return "" if key.works() else _("Этот ключ не работает. Вместо него заведите новый.")

    def consequences(self, key: ApiKey) -> list[Any]:
        told = [
            _("Появится новый ключ: то же название, те же лимиты, модели, адреса и предел расходов."),
            _("Целиком его видно один раз, сразу после выпуска. Передайте его клиенту."),
            _("Старый ключ проработает столько, сколько выбрано ниже, и перестанет сам."),
        ]
        if hasattr(key, "cap"):
            told.append(_("Потраченное у нового ключа считается заново, с нуля."))
        return told

    def take(self, request: HttpRequest, key: ApiKey, typed: dict[str, Any]) -> tuple[Any, HttpResponse]:
        new, plaintext = rotate(key, typed["grace"], request.user)
        messages.warning(request, shown_once(plaintext))
        until = to_minute(key.expires_at)
        told = _("Заменён ключом %(new)s…, сам действует до %(until)s") % {"new": new.prefix, "until": until}
        return told, redirect("admin:accounts_apikey_change", new.pk)


class KeyDesk(ApiKeyAdmin):
    inlines = [CapInline]
    steps = [Rotate(), *ApiKeyAdmin.steps]
