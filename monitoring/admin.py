"""The operators' desk for health: history, only read, and incidents, which people may tell, too."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from monitoring import incidents
from monitoring.models import Balance, Bulletin, Incident, Note, Probe, Symptom


class History(ModelAdmin):
    """Rows that nobody writes by hand."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Probe)
class ProbeAdmin(History):
    list_display = ["at", "provider", "endpoint", "ok", "kind", "latency", "asked_by"]
    list_filter = ["ok", "provider", "kind", "at"]
    list_select_related = ["provider"]
    search_fields = ["provider__name", "provider__slug", "endpoint"]

    @admin.display(description=_("время ответа, мс"), ordering="latency_ms")
    def latency(self, probe: Probe) -> str:
        return (
            "—" if probe.latency_ms is None else number_format(round(probe.latency_ms), force_grouping=True)
        )


@admin.register(Balance)
class BalanceAdmin(History):
    list_display = ["credential", "least", "has_packages", "read_at", "kind"]
    list_select_related = ["credential__provider"]

    @admin.display(description=_("меньше всего, токенов"), empty_value="—")
    def least(self, balance: Balance) -> str | None:
        return None if balance.least is None else number_format(balance.least, force_grouping=True)


@admin.register(Symptom)
class SymptomAdmin(History):
    list_display = ["cause", "since"]


@admin.register(Note)
class NoteAdmin(History):
    list_display = ["at", "incident", "author", "text"]
    list_select_related = ["incident"]


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["text"]
        widgets = {"text": UnfoldAdminTextareaWidget(attrs={"rows": 2})}


class NoteInline(TabularInline):
    """What happened so far, and place for one word more."""

    model = Note
    form = NoteForm
    extra = 1
    hide_title = True
    fields = ["moment", "who", "text"]
    readonly_fields = ["moment", "who"]
    verbose_name_plural = _("Что происходило")

    def get_max_num(self, request: HttpRequest, obj: Incident | None = None, **kwargs: Any) -> int:
        return 1 + (obj.notes.count() if obj else 0)

    @admin.display(description=_("когда"))
    def moment(self, note: Note) -> str:
        return "—" if note.pk is None else date_format(timezone.localtime(note.at), "d.m.Y H:i:s")

    @admin.display(description=_("кто"))
    def who(self, note: Note) -> Any:
        return "—" if note.pk is None else note.author or _("система")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("monitoring.change_incident")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("monitoring.view_incident") or self.has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StateFilter(admin.SimpleListFilter):
    title = _("состояние")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("открытые")), ("closed", _("закрытые"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() is None:
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class IncidentForm(forms.ModelForm):
    class Meta:
        model = Incident
        fields = ["title", "kind", "provider", "impact", "is_hidden"]
        widgets = {"impact": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


STATES = {"open": pgettext_lazy("state", "открыт"), "well": _("проходит"), "closed": _("закрыт")}


def state_of(incident: Incident) -> str:
    if not incident.is_open:
        return "closed"
    return "open" if incident.well_since is None else "well"


@admin.register(Incident)
class IncidentAdmin(ModelAdmin):
    form = IncidentForm
    list_display = ["headline", "state", "kind", "whose", "opened_at", "lasted", "opener", "owner"]
    list_filter = [StateFilter, "kind", "provider", "opened_at"]
    search_fields = ["title", "impact", "subject"]
    show_full_result_count = False
    autocomplete_fields = ["provider"]
    inlines = [NoteInline]
    actions_submit_line = ["acknowledge", "close_now"]
    actions_detail = ["tell_everybody"]
    told = [
        "published",
        "told_state",
        "opened_at",
        "opener",
        "lasted",
        "closed_at",
        "closer",
        "owner",
        "times",
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        written = ["title", "kind", "provider", "impact"]
        fields = written if obj is None else [*written, "is_hidden", *self.told]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Incident | None = None) -> list[str]:
        found = ["title", "kind", "provider"] if obj is not None and obj.is_found else []
        return found if obj is None else [*found, *self.told]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # history

    @admin.display(description=_("инцидент"), ordering="title")
    def headline(self, incident: Incident) -> str:
        return incident.title

    @display(description=_("состояние"), label={"open": "danger", "well": "warning", "closed": "success"})
    def state(self, incident: Incident) -> tuple[str, Any]:
        key = state_of(incident)
        return key, STATES[key]

    @admin.display(description=_("состояние"))
    def told_state(self, incident: Incident) -> Any:
        return STATES[state_of(incident)]

    @admin.display(description=_("сообщения клиентам"))
    def published(self, incident: Incident) -> Any:
        """What everybody is told of it, or is no longer."""
        told = [
            (reverse("admin:monitoring_bulletin_change", args=[each.pk]), each.title)
            for each in incident.bulletins.all()
        ]
        return format_html_join(mark_safe("<br>"), '<a class="underline" href="{}">{}</a>', told) or "—"

    @admin.display(description=_("у кого"), ordering="subject")
    def whose(self, incident: Incident) -> str:
        return gettext(incident.subject)  # a provider's name stays as it is

    @admin.display(description=_("длится"))
    def lasted(self, incident: Incident) -> Any:
        minutes = int((incident.ended - incident.opened_at).total_seconds() // 60)
        if minutes < 60:
            return _("%d мин") % minutes
        return _("%(hours)d ч %(minutes)d мин") % {"hours": minutes // 60, "minutes": minutes % 60}

    @admin.display(description=_("кем открыт"))
    def opener(self, incident: Incident) -> Any:
        return incident.opened_by or _("система")

    @admin.display(description=_("кем закрыт"))
    def closer(self, incident: Incident) -> Any:
        if incident.is_open:
            return "—"
        return incident.closed_by or _("система")

    @admin.display(description=_("кто занимается"))
    def owner(self, incident: Incident) -> str:
        return incident.acknowledged_by or "—"

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        if not change:
            obj.opened_by = str(request.user)
            obj.subject = obj.provider.name if obj.provider else obj.subject
        else:
            # Only what was typed: the machine may have closed it meanwhile.
            obj.save(update_fields=form.changed_data)
            return
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for note in formset.save(commit=False):
            incidents.annotate(form.instance, str(request.user), note.text)
        formset.save_m2m()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # After the word that was typed, so that the story is told in its order.
        for each in self.get_actions_submit_line(request, form.instance.pk) if change else ():
            if each.action_name in request.POST:
                each.method(request, form.instance)

    def get_actions_submit_line(self, request: HttpRequest, object_id: Any) -> list[Any]:
        incident = Incident.objects.open().filter(pk=object_id).first()
        if incident is None or not self.has_change_permission(request, incident):
            return []
        offered = super().get_actions_submit_line(request, object_id)
        taken = incident.acknowledged_at is not None
        return [each for each in offered if not (taken and each.action_name.endswith("acknowledge"))]

    @action(description=_("Беру на себя"))
    def acknowledge(self, request: HttpRequest, incident: Incident) -> None:
        if not incidents.acknowledge(incident, str(request.user), timezone.now()):
            self.message_user(request, _("Инцидентом уже занимаются."), messages.WARNING)

    @action(description=_("Закрыть инцидент"))
    def close_now(self, request: HttpRequest, incident: Incident) -> None:
        if not incidents.close(incident, str(request.user), timezone.now(), ""):
            self.message_user(request, _("Инцидент уже закрыт."), messages.WARNING)

    @action(
        description=_("Написать на страницу состояния"),
        url_path="tell",
        icon="campaign",
        permissions=["tell"],
    )
    def tell_everybody(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(f"{reverse('admin:monitoring_bulletin_add')}?incident={object_id}")

    def has_tell_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("monitoring.add_bulletin")


class BulletinForm(forms.ModelForm):
    class Meta:
        model = Bulletin
        fields = ["incident", "title", "text", "title_en", "text_en", "is_public"]
        widgets = {name: UnfoldAdminTextareaWidget(attrs={"rows": 4}) for name in ("text", "text_en")}


@admin.register(Bulletin)
class BulletinAdmin(ModelAdmin):
    """What everybody reads of an incident. Taken off the page, not deleted: it has been read."""

    form = BulletinForm
    list_display = ["title", "incident", "is_public", "at", "author"]
    list_filter = ["is_public", "at"]
    list_select_related = ["incident"]
    search_fields = ["title", "text", "incident__title"]
    show_full_result_count = False
    autocomplete_fields = ["incident"]

    def get_readonly_fields(self, request: HttpRequest, obj: Bulletin | None = None) -> list[str]:
        return [] if obj is None else ["incident", "at", "author"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        written = list(self.form.Meta.fields)
        return [(None, {"fields": written if obj is None else [*written, "at", "author"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Bulletin, form: Any, change: bool) -> None:
        if not change:
            obj.author = str(request.user)
        super().save_model(request, obj, form, change)


def open_incidents(request: HttpRequest) -> Any:
    """The menu's badge: how many are open; nothing for none."""
    count = Incident.objects.open().count()
    return count or ""
