"""The operators' desk for clients: who they are, who belongs to them, what stops and starts their work."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter, RangeDateFilter
from unfold.decorators import display

from accounts import visits
from accounts.admin import contents
from accounts.admin.limited import PREFERENCES, ROUTING
from accounts.admin.panels import Panel
from accounts.admin.search import FindsByKey, clients_like
from accounts.admin.steps import HasSteps, Step
from accounts.models import LIMITS, ApiKey, Client, Membership, Visit
from accounts.moments import to_minute

LAST_VISITS = 20


class Block(Step):
    slug, title, icon = "block", _("Заблокировать"), "block"
    permission, hurts = "accounts.block_client", True

    def objection(self, client: Client) -> Any:
        return "" if client.is_active else _("Клиент уже заблокирован.")

    def consequences(self, client: Client) -> list[Any]:
        return [
            _("Не позже чем через секунду каждый новый запрос с любым ключом клиента получит отказ 403."),
            _("Ответы, которые уже идут, дойдут до конца и будут оплачены."),
            _("Люди клиента по-прежнему войдут в кабинет и увидят там, что доступ приостановлен."),
            _("Деньги, ключи и настройки останутся как есть; доступ можно вернуть в любой момент."),
        ]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, None]:
        client.is_active = False
        client.save(update_fields=["is_active"])
        messages.success(request, _("Клиент заблокирован."))
        return gettext("Заблокирован"), None


class Unblock(Step):
    slug, title, icon = "unblock", _("Разблокировать"), "lock_open"
    permission = "accounts.block_client"

    def objection(self, client: Client) -> Any:
        return _("Клиент не заблокирован.") if client.is_active else ""

    def consequences(self, client: Client) -> list[Any]:
        return [_("Не позже чем через секунду рабочие ключи клиента заработают снова.")]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, None]:
        client.is_active = True
        client.save(update_fields=["is_active"])
        messages.success(request, _("Клиент разблокирован."))
        return gettext("Разблокирован"), None


class Look(Step):
    slug, title, icon = "look", _("Смотреть глазами клиента"), "visibility"
    permission = visits.PERMISSION

    def fits(self, client: Client) -> bool:
        return True

    def objection(self, client: Client) -> Any:
        return visits.objection(client)

    def consequences(self, client: Client) -> list[Any]:
        return [
            _("Вы увидите кабинет таким, каким его видит владелец организации, не дольше 30 минут."),
            _("Менять там ничего нельзя: любая отправка формы будет отклонена."),
            _("Вы остаётесь собой: входа под чужим именем не происходит."),
            _("Кто, когда и зачем смотрел, останется на странице клиента."),
        ]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, HttpResponse]:
        visit = visits.begin(request, client, typed["reason"])
        until = to_minute(visit.ends_at)
        return gettext("Просмотр глазами клиента до %(until)s") % {"until": until}, redirect("dashboard")


class MemberInline(TabularInline):
    model = Membership
    extra = 0
    tab = True
    fields = ["user", "role"]
    autocomplete_fields = ["user"]
    verbose_name, verbose_name_plural = _("человека"), _("люди")


class Visits(Panel):
    name, title = "visits", _("Просмотры")
    template_name = "accounts/desk/visits.html"
    permission = "accounts.view_visit"

    def facts(self, client: Client) -> dict[str, Any]:
        return {"visits": client.visits.select_related("operator")[:LAST_VISITS]}


class ClientAdmin(HasSteps, FindsByKey):
    formfield_overrides = PREFERENCES
    list_display = ["name", "inn", "plan", "last_request", "key_count", "state", "preferences"]
    list_filter = [
        ("plan", ChoicesCheckboxFilter),
        ("is_active", BooleanRadioFilter),
        ("created_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_per_page = 50
    search_fields = ["name", "inn"]
    like = staticmethod(clients_like)
    search_help_text = _("Название, ИНН, почта человека или начало ключа.")
    readonly_fields = ["state_told", "content_told", "created_at"]
    steps = [Look(), Block(), Unblock(), *contents.STEPS]
    inlines = [MemberInline]
    panels: list[type[Panel]] = [Visits]
    fieldsets = [
        (None, {"fields": [("name", "inn"), ("plan", "state_told"), ("created_at", "content_told")]}),
        (_("Лимиты"), {"fields": LIMITS, "description": _("Пусто — как в тарифе доступа.")}),
        ROUTING,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        keys = ApiKey.objects.filter(client=OuterRef("pk")).order_by().values("client")
        return (
            super()
            .get_queryset(request)
            .annotate(
                keys_in_all=Coalesce(Subquery(keys.annotate(n=Count("pk")).values("n")), 0),
                asked_at=Subquery(keys.annotate(last=Max("last_used_at")).values("last")),
            )
        )

    def get_changeform_datasets(self, request: HttpRequest) -> list[type[Panel]]:
        if not (request.resolver_match and "object_id" in request.resolver_match.kwargs):
            return []
        return [panel for panel in self.panels if request.user.has_perm(panel.permission)]

    @display(description=_("последний запрос"), ordering="asked_at", empty_value="—")
    def last_request(self, client: Client) -> Any:
        return client.asked_at

    @display(description=_("ключей"), ordering="keys_in_all")
    def key_count(self, client: Client) -> int:
        return int(client.keys_in_all)

    @display(
        description=_("состояние"),
        ordering="is_active",
        label={"active": "success", "blocked": "danger"},
    )
    def state(self, client: Client) -> tuple[str, Any]:
        return ("active", _("работает")) if client.is_active else ("blocked", _("заблокирован"))

    @display(description=_("состояние"))
    def state_told(self, client: Client) -> Any:
        return self.state(client)[1]

    @display(description=_("содержание запросов"))
    def content_told(self, client: Client) -> Any:
        return contents.told(client)

    @display(description=_("предпочтения"), empty_value="—")
    def preferences(self, client: Client) -> str | None:
        return ", ".join(client.routing) or None

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        return False  # a client has a history; it is blocked instead


admin.site.register(Client, ClientAdmin)


@admin.register(Visit)
class VisitAdmin(ModelAdmin):
    """Read only: it tells who looked through whose eyes."""

    list_display = ["began_at", "operator", "client", "reason", "ends_at", "ended_at"]
    list_select_related = ["operator", "client"]
    list_filter = [("began_at", RangeDateFilter)]
    list_filter_submit = True
    search_fields = ["operator__email", "client__name"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Visit | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Visit | None = None) -> bool:
        return False
