"""Movements that wait for a second signature: what was asked, what it would do, and the other's decision."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import proposals
from billing.admin.desk import History, signed_money
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, MomentRange
from billing.admin.log import record
from billing.admin.movements import shown_figures
from billing.admin.pages import AddsUp
from billing.admin.transfers import link
from billing.errors import BillingError
from billing.figures import plain_roubles, roubles
from billing.models import PERMITS, Proposal, ProposalState

COLOURS = {
    ProposalState.WAITING: "warning",
    ProposalState.CONFIRMED: "success",
    ProposalState.DECLINED: "danger",
    ProposalState.EXPIRED: "info",
}


def waiting_badge(request: HttpRequest) -> str:
    """How many wait, for the menu; nothing where none does."""
    return str(Proposal.objects.waiting().count() or "")


class DeclineForm(forms.Form):
    why = forms.CharField(
        label=gettext_lazy("Почему"),
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Нужно, чтобы отклонить. Прочтёт тот, кто предложил."),
    )


@admin.register(Proposal)
class ProposalAdmin(AddsUp, Exports, History):
    list_display = ["asked_at", "status", "kind", "whose", "signed", "reason", "asked_by", "decided_by"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("asked_at", MomentRange),
        ("client", AutocompleteSelectFilter),
        ("amount", AmountRange),
    ]
    list_select_related = ["client", "batch", "asked_by", "decided_by"]
    search_fields = ["client__name", "client__inn", "batch__note", "reason", "asked_by__email"]
    change_form_outer_after_template = "billing/desk/decision.html"
    added_up = ["amount"]
    added_by = "state"
    exported = [
        *("asked_at", "state", "kind", "client", "batch", "amount", "reason", "number", "asked_by"),
        *("decided_by", "decided_at", "decision"),
    ]

    @display(description=gettext_lazy("состояние"), label=COLOURS)
    def status(self, row: Proposal) -> tuple[str, str]:
        state = row.state if row.state != ProposalState.WAITING or row.is_waiting else ProposalState.EXPIRED
        return state, ProposalState(state).label

    @admin.display(description=gettext_lazy("состояние"))
    def standing(self, row: Proposal) -> str:
        return self.status(row)[1]

    @admin.display(description=gettext_lazy("сумма"))
    def signed(self, row: Proposal) -> str:
        if row.kind in PERMITS:
            return format_html('<span class="money">{}</span>', roubles(row.amount))
        return signed_money(row.amount)

    @admin.display(description=gettext_lazy("клиент или партия"), ordering="client")
    def whose(self, row: Proposal) -> str:
        return str(row.client or row.batch)

    def totals(self, rows: QuerySet[Proposal]) -> dict[str, Any]:
        # A limit is no sum, nor is what all codes would bring.
        return super().totals(rows.exclude(kind__in=PERMITS))

    @admin.display(description=gettext_lazy("генерация"))
    def of_generation(self, row: Proposal) -> str:
        return link(reverse("admin:billing_generation_change", args=[row.generation]), row.generation)

    def get_fields(self, request: HttpRequest, obj: Proposal | None = None) -> list[str]:
        whose = "batch" if obj is not None and obj.batch_id else "client"
        asked = ["standing", "kind", whose, "signed", "reason"]
        if obj is not None and obj.generation:
            asked.append("of_generation")
        if obj is not None and obj.number:
            asked += ["number", "received_at"]
        decided = ["decided_by", "decided_at"] if obj is not None and obj.decided_at else ["expires_at"]
        more = [name for name in ("decision", "transfer") if obj is not None and getattr(obj, name)]
        return [*asked, "asked_by", "asked_at", *decided, *more]

    def get_readonly_fields(self, request: HttpRequest, obj: Proposal | None = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), "standing", "signed", "of_generation"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<int:number>/decide/", view, name="billing_proposal_decide"), *super().get_urls()]

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.confirm_movement") and self.has_view_permission(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        asked = self.get_object(request, object_id)
        shown = self._question(request, asked) if asked is not None and asked.is_waiting else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _question(self, request: HttpRequest, asked: Proposal) -> dict[str, Any]:
        is_own = asked.asked_by_id == request.user.pk
        return {
            "asked": asked,
            "moves": asked.kind not in PERMITS,
            "figures": shown_figures(asked),
            "objection": proposals.objection(asked),
            "is_own": is_own,
            "may_confirm": self.has_confirm_permission(request) and not is_own,
            "may_decline": self.has_confirm_permission(request) or is_own,
            "decide_address": reverse("admin:billing_proposal_decide", args=[asked.pk]),
            "decline_form": DeclineForm(),
        }

    def decide_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """Both answers. ``billing.proposals`` has the last word on who may give them, and when."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        asked = self.get_object(request, str(number))
        is_own = asked is not None and asked.asked_by_id == request.user.pk
        declines = "decline" in request.POST
        if asked is None or not (self.has_confirm_permission(request) or (is_own and declines)):
            raise PermissionDenied
        try:
            sentence = self._decline(request, number) if declines else self._confirm(request, number)
        except BillingError as exc:
            told = _("Ничего не проведено. {why}").format(why=_(str(exc)))
            self.message_user(request, told, messages.ERROR)
        else:
            record(request, Proposal, sentence, asked)
            self.message_user(request, sentence, messages.SUCCESS)
        return redirect(reverse("admin:billing_proposal_change", args=[number]))

    def _confirm(self, request: HttpRequest, number: int) -> str:
        done = proposals.confirm(number, request.user)
        if done.kind in PERMITS:
            return _("Подтверждено. {what}.").format(what=capfirst(str(done)))
        sentence = _("Подтверждено и проведено: {amount} ₽, {client}.")
        return sentence.format(amount=plain_roubles(done.amount), client=done.client)

    def _decline(self, request: HttpRequest, number: int) -> str:
        form = DeclineForm(request.POST)
        if not form.is_valid():
            raise BillingError(_("Напишите, почему отклоняете."))
        proposals.decline(number, request.user, form.cleaned_data["why"])
        return _("Отклонено: {why}").format(why=form.cleaned_data["why"])
