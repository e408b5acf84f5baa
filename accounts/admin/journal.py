"""The operators' journal: who changed what, when and from where. Only read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts import changes
from accounts.journal import Change
from accounts.moments import to_second

COLOURS = {
    Change.Action.CREATE: "success",
    Change.Action.UPDATE: "info",
    Change.Action.DELETE: "danger",
    Change.Action.ACCESS: "default",
}
# Fields that the list names; the entry itself has all.
MOST_NAMED = 4


class KindFilter(DropdownFilter):
    title = _("что")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return changes.kinds()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        known = {number for number, _name in self.lookup_choices}
        return queryset.filter(content_type=self.value()) if self.value() in known else queryset


class ActionFilter(DropdownFilter):
    title = _("действие")
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(number), told) for number, told in changes.ACTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        known = {number for number, _name in self.lookup_choices}
        return queryset.filter(action=self.value()) if self.value() in known else queryset


class WhoFilter(AutocompleteSelectFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("кто")


class WhenFilter(RangeDateTimeFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("когда")


admin.site.unregister(Change)  # the library has a page of its own for it


@admin.register(Change)
class ChangeAdmin(ModelAdmin):
    list_display = ["when", "who", "done", "kind", "row", "fields_changed"]
    list_filter = [("timestamp", WhenFilter), ("actor", WhoFilter), KindFilter, ActionFilter]
    list_filter_submit = True
    list_select_related = ["actor", "content_type"]
    list_display_links = ["when"]
    search_fields = ["object_repr", "actor_email", "object_pk__exact"]
    search_help_text = _("Название или номер объекта, почта сотрудника.")
    ordering = ["-timestamp", "-pk"]
    show_full_result_count = False
    fields = ["when", "who", "remote_address", "done_told", "kind", "row", "told", "table"]
    readonly_fields = fields

    @admin.display(description=_("когда"), ordering="timestamp")
    def when(self, change: Change) -> str:
        return to_second(change.timestamp)

    @admin.display(description=_("кто"), ordering="actor_email")
    def who(self, change: Change) -> Any:
        return changes.actor(change)

    @admin.display(description=_("адрес"), empty_value=changes.NOTHING)
    def remote_address(self, change: Change) -> str | None:
        return change.remote_addr

    @display(description=_("действие"), label=COLOURS, ordering="action")
    def done(self, change: Change) -> tuple[int, Any]:
        return change.action, changes.ACTIONS[change.action]

    @admin.display(description=_("действие"))
    def done_told(self, change: Change) -> Any:
        return self.done(change)[1]

    @admin.display(description=_("что"))
    def kind(self, change: Change) -> str:
        return changes.kind_of(change)

    @admin.display(description=_("объект"))
    def row(self, change: Change) -> str:
        if address := changes.address_of(change):
            return format_html('<a href="{}" class="text-primary-600">{}</a>', address, change.object_repr)
        return change.object_repr

    @admin.display(description=_("изменилось"))
    def fields_changed(self, change: Change) -> str:
        names = [line.label for line in changes.lines(change)]
        return ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")

    @admin.display(description=_("пояснение"), empty_value=changes.NOTHING)
    def told(self, change: Change) -> str | None:
        return changes.sentence(change) or None

    @admin.display(description=_("до и после"))
    def table(self, change: Change) -> str:
        return render_to_string("accounts/desk/lines.html", {"lines": changes.lines(change)})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
