"""The operators' desk for what customers are told, and for what is switched off."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.notices import Announcement, Audience, NoticeKind, Switch
from accounts.switches import SWITCHES

STATES = {"draft": _("черновик"), "planned": _("ждёт начала"), "shown": _("показывается"), "over": _("снято")}
STATE_COLOURS = {"draft": "info", "planned": "warning", "shown": "success", "over": "default"}


@admin.register(Announcement)
class AnnouncementAdmin(ModelAdmin):
    list_display = ["__str__", "shown_kind", "shown_audience", "state", "starts_at", "ends_at"]
    list_filter = [("kind", ChoicesDropdownFilter), ("audience", ChoicesDropdownFilter)]
    list_filter_submit = True
    search_fields = ["text", "text_en"]
    fields = ["text", "text_en", "kind", "audience", "starts_at", "ends_at", "preview"]
    readonly_fields = ["preview"]

    @admin.display(description=_("вид"), ordering="kind")
    def shown_kind(self, notice: Announcement) -> str:
        return str(NoticeKind(notice.kind).label)

    @admin.display(description=_("кому"), ordering="audience")
    def shown_audience(self, notice: Announcement) -> str:
        return str(Audience(notice.audience).label)

    @display(description=_("состояние"), label=STATE_COLOURS)
    def state(self, notice: Announcement) -> tuple[str, Any]:
        return notice.state, STATES[notice.state]

    @admin.display(description=_("как увидят клиенты"))
    def preview(self, notice: Announcement) -> Any:
        if notice.pk is None:
            return _("Сохраните черновик — здесь появятся ссылки на страницы, какими их увидят клиенты.")
        address = reverse("admin:accounts_announcement_preview", args=[notice.pk])
        return format_html(
            '<a class="text-primary-600" href="{0}?language=ru">{1}</a> · '
            '<a class="text-primary-600" href="{0}?language=en">{2}</a>',
            address,
            _("по-русски"),
            _("по-английски"),
        )

    def get_urls(self) -> list[URLPattern]:
        preview = path(
            "<int:pk>/preview/",
            self.admin_site.admin_view(self.preview_view),
            name="accounts_announcement_preview",
        )
        return [preview, *super().get_urls()]

    def preview_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page for customers with this announcement on it, as it was saved."""
        notice = self.get_object(request, str(pk))
        if notice is None or not self.has_view_permission(request, notice):
            raise Http404
        language = "en" if request.GET.get("language") == "en" else "ru"
        back = reverse("admin:accounts_announcement_change", args=[pk])
        told = {"announcements": [notice], "back": back, "reads": translation.get_language()}
        with translation.override(language):
            return TemplateResponse(request, "accounts/preview.html", told).render()


class SwitchForm(forms.ModelForm):
    class Meta:
        model = Switch
        fields = ["active"]
        labels = {"active": _("Включено")}
        help_texts = {"active": ""}


@admin.register(Switch)
class SwitchAdmin(ModelAdmin):
    """One page for each switch there is in the code; none is made or removed here."""

    form = SwitchForm
    list_display = ["__str__", "position", "when_off"]
    fields = ["active", "when_off"]
    readonly_fields = ["when_off"]
    ordering = ["name"]

    @display(description=_("положение"), label={"on": "success", "off": "danger"})
    def position(self, switch: Switch) -> tuple[str, Any]:
        return ("on", _("включено")) if switch.active else ("off", _("выключено"))

    @admin.display(description=_("что он делает"))
    def when_off(self, switch: Switch) -> Any:
        told = SWITCHES.get(switch.name)
        return told.when_off if told else _("Ничего: в программе такого переключателя больше нет.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
