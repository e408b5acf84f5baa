"""The operators' desk for providers: how each does, what can be done about it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.views import ChangeList

from accounts import journal
from monitoring import balances, charts, trial
from monitoring.models import Probe
from providers.admin import ProviderAdmin
from providers.models import Provider
from routing import vendors
from routing.admin.vendor_forms import TrialForm
from routing.admin.vendor_words import BREAKERS, HOLDS, LABELS, STATES, WISHES
from routing.models import Circuit

PROBES = 50


class VendorList(ChangeList):
    """A page of the list, with how each does."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return vendors.whole(super().get_queryset(request, *args, **kwargs))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        found = vendors.standings(self.result_list)
        for provider in self.result_list:
            provider.standing = found[provider.pk]
        self.redis_is_away = any(each.shared.is_away for each in found.values())


def label_of(standing: vendors.Standing) -> str:
    """The key of a state's words and colour."""
    simulated = standing.is_simulated and standing.state == "operational"
    return "simulated" if simulated else standing.state


admin.site.unregister(Provider)


@admin.register(Provider)
class VendorAdmin(ProviderAdmin):
    list_display = ["title", "state", "success", "latency", "places", "incidents", "learns", "switch"]
    list_display_links = None
    list_before_template = "providers/desk/list_note.html"
    change_form_outer_before_template = "providers/desk/tabs.html"
    actions = None  # nothing is deleted by the dozen
    show_full_result_count = False

    class Media:
        css = {"all": ["monitoring/desk.css"]}

    # The list -----------------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return VendorList

    @admin.display(description=_("провайдер"), ordering="name")
    def title(self, provider: Provider) -> SafeString:
        return format_html(
            '<div><a class="vendor-link" href="{}">{}</a><br><span class="vendor-slug">{}</span></div>',
            self._address("state", provider),
            provider.name,
            provider.slug,
        )

    @display(description=_("состояние"), label=LABELS)
    def state(self, provider: Provider) -> tuple[str, Any]:
        key = label_of(provider.standing)
        return key, STATES[key]

    @admin.display(description=_("успех за 5 мин"))
    def success(self, provider: Provider) -> SafeString:
        return self._measured(provider, charts.share(provider.standing.total.success), charts.attempts)

    @admin.display(description=_("медиана за 5 мин"))
    def latency(self, provider: Provider) -> SafeString:
        return self._measured(
            provider, charts.milliseconds(provider.standing.total.latency), charts.latencies
        )

    def _measured(self, provider: Provider, figure: str, chart: Any) -> SafeString:
        if provider.standing.shared.is_away:
            return format_html("{}", _("неизвестно"))
        return format_html("<div>{}<br>{}</div>", figure, chart(provider.standing.points))

    @admin.display(description=_("места"))
    def places(self, provider: Provider) -> str:
        standing = provider.standing
        return f"{'?' if standing.shared.is_away else standing.used} / {standing.slots}"

    @admin.display(description=_("инциденты"))
    def incidents(self, provider: Provider) -> Any:
        if not provider.standing.incidents:
            return "—"
        address = reverse("admin:monitoring_incident_changelist")
        return format_html(
            '<a href="{}?provider__id__exact={}">{}</a>', address, provider.pk, provider.standing.incidents
        )

    @admin.display(description="")
    def switch(self, provider: Provider) -> SafeString:
        words = _("Вывести") if provider.is_enabled else _("Включить")
        return format_html(
            '<a class="vendor-button" href="{}">{}</a>', self._address("switch", provider), words
        )

    # Pages --------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        def page(end: str, view: Any, name: str) -> URLPattern:
            wrapped = self.admin_site.admin_view(view)
            return path(f"<int:number>/{end}", wrapped, name=f"providers_provider_{name}")

        ours = [
            page("state/", self.state_page, "state"),
            page("probes/", self.probes_page, "probes"),
            page("test/", self.test_page, "test"),
            page("costs/", self.costs_page, "costs"),
            page("switch/", self.switch_page, "switch"),
            page("balance/", self.balance_page, "balance"),
            page("circuit/<int:endpoint>/<str:wish>/", self.circuit_page, "circuit"),
        ]
        return [*ours, *super().get_urls()]

    def has_test_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("providers.test_provider")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("providers.switch_provider")

    def state_page(self, request: HttpRequest, number: int) -> HttpResponse:
        provider = self._found(request, number)
        standing = vendors.standing(provider)
        credentials = list(standing.asked.credentials.select_related("provider", "balance"))
        latest = vendors.last_probes(credentials)
        context = {
            "standing": standing,
            "label": (STATES[label_of(standing)], LABELS[label_of(standing)]),
            "total": standing.total,
            "success": charts.share(standing.total.success),
            "latency": charts.milliseconds(standing.total.latency),
            "attempts_chart": charts.attempts(standing.points),
            "latency_chart": charts.latencies(standing.points),
            "breakers": [
                {"row": each, "words": BREAKERS[each.state], "success": charts.share(_success(each))}
                for each in vendors.breakers(provider, standing.shared.board)
            ],
            "credentials": [
                {
                    "row": each,
                    "used": standing.shared.used.get(each.pk, 0),
                    "probe": latest.get(each.pk),
                    "balance": getattr(each, "balance", None),
                }
                for each in credentials
            ],
            "wishes": [(wish.value, words) for wish, (words, _told) in WISHES.items()],
            "tells_balance": balances.tells_balance(standing.asked),
            "is_draining": not provider.is_enabled and standing.used > 0,
            "incidents": provider.incidents.open(),
        }
        return self._page(request, provider, "state", context)

    def probes_page(self, request: HttpRequest, number: int) -> HttpResponse:
        provider = self._found(request, number)
        rows = list(Probe.objects.filter(provider=provider).select_related("credential")[:PROBES])
        context = {"rows": rows, "chart": charts.probes(rows[::-1]), "limit": PROBES}
        return self._page(request, provider, "probes", context)

    def costs_page(self, request: HttpRequest, number: int) -> HttpResponse:
        provider = self._found(request, number)
        rows = vendors.costs(provider)
        totals = {name: sum(row[name] for row in rows) for name in ("count", "own", "cost")}
        return self._page(request, provider, "costs", {"rows": rows, "totals": totals})

    def test_page(self, request: HttpRequest, number: int) -> HttpResponse:
        provider = self._found(request, number)
        _demand(self.has_test_permission(request))
        # A provider that a twin stands in for is asked as requests ask it.
        asked = vendors.standing(provider).asked
        form = TrialForm(request.POST or None, provider=provider, asked=asked)
        found = None
        if request.method == "POST" and form.is_valid():
            question = form.question()
            found = trial.attempt(asked, question, credential_id=form.credential_id())
            trial.keep(asked, found, question, str(request.user))
        context = {"form": form, "trial": found, "asked": asked, "longest": int(trial.LONGEST)}
        return self._page(request, provider, "test", context)

    def balance_page(self, request: HttpRequest, number: int) -> HttpResponse:
        provider = self._found(request, number)
        _demand(self.has_test_permission(request) and request.method == "POST")
        for credential in vendors.standing(provider).asked.credentials.select_related("provider"):
            if credential.is_usable and balances.tells_balance(credential.provider):
                balances.read(credential)
        return redirect(self._address("state", provider))

    def switch_page(self, request: HttpRequest, number: int) -> HttpResponse:
        """Out of work, or back: what has begun ends either way."""
        provider = self._found(request, number)
        _demand(self.has_switch_permission(request))
        if request.method == "POST":
            provider.is_enabled = request.POST.get("to") == "on"
            provider.save(update_fields=["is_enabled"])
            told = _("Включён.") if provider.is_enabled else _("Выведен из работы.")
            self.log_change(request, provider, str(told))
            return redirect(self._address("state", provider))
        context = {"used": vendors.standing(provider).used, "action": _switch_words(provider)}
        return self._page(request, provider, "switch", context)

    def circuit_page(self, request: HttpRequest, number: int, endpoint: int, wish: str) -> HttpResponse:
        provider = self._found(request, number)
        _demand(self.has_switch_permission(request))
        row = provider.endpoints.filter(pk=endpoint).select_related("model").first()
        if row is None or wish not in WISHES:
            raise Http404
        words, told = WISHES[Circuit(wish)]
        if request.method == "POST":
            row.circuit = wish
            row.save(update_fields=["circuit"])
            self.log_change(request, provider, f"{row.model}: {words}.")
            journal.note(provider, {}, f"{row.model}: {words}.")
            said = _("%(model)s: предохранитель изменён.") % {"model": row.model}
            self.message_user(request, said, messages.SUCCESS)
            return redirect(self._address("state", provider))
        return self._page(request, provider, "circuit", {"endpoint": row, "action": words, "told": told})

    # Django's own pages -------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        provider = self.get_object(request, object_id)
        more = {"vendor_tabs": self._tabs(request, provider, "change")} if provider else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        provider = self.get_object(request, object_id)
        held = vendors.holders(provider) if provider else {}
        if not held or not self.has_delete_permission(request, provider):
            return super().delete_view(request, object_id, extra_context)
        told = [(HOLDS[kind], names) for kind, names in held.items()]
        return self._page(request, provider, "held", {"held": told})

    # Common -------------------------------------------------------------------------------------------

    def _found(self, request: HttpRequest, number: int) -> Provider:
        provider = vendors.whole(self.get_queryset(request)).filter(pk=number).first()
        if provider is None:
            raise Http404
        _demand(self.has_view_permission(request, provider))
        return provider

    def _page(
        self, request: HttpRequest, provider: Provider, name: str, context: dict[str, Any]
    ) -> HttpResponse:
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": provider.name,
            "original": provider,
            "provider": provider,
            "vendor_tabs": self._tabs(request, provider, name),
            "may_test": self.has_test_permission(request),
            "may_switch": self.has_switch_permission(request),
        }
        template = f"providers/desk/{name}.html"
        return TemplateResponse(request, template, {**shared, **context})

    def _tabs(self, request: HttpRequest, provider: Provider, here: str) -> list[dict[str, Any]]:
        tabs = [
            ("state", _("Состояние")),
            ("change", _("Настройки и доступы")),
            ("probes", _("Пробы")),
            *([("test", _("Проверить"))] if self.has_test_permission(request) else []),
            ("costs", _("Себестоимость")),
        ]
        return [
            {"title": title, "link": self._address(name, provider), "is_here": name == here}
            for name, title in tabs
        ]

    def _address(self, name: str, provider: Provider) -> str:
        return reverse(f"admin:providers_provider_{name}", args=[provider.pk])


def _demand(is_allowed: bool) -> None:
    if not is_allowed:
        raise PermissionDenied


def _success(breaker: vendors.Breaker) -> float | None:
    return breaker.vitals.success if breaker.vitals.attempts else None


def _switch_words(provider: Provider) -> Any:
    return _("Вывести из работы") if provider.is_enabled else _("Включить")
