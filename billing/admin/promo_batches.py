"""Promo codes in batches. A batch's codes are shown for an hour to whoever made it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import RegexValidator
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import User
from billing import batches, proposals
from billing.admin.desk import History, money
from billing.admin.export import download
from billing.admin.filters import MomentRange
from billing.admin.log import record
from billing.admin.movements import LARGEST
from billing.admin.promo import TOO_DEAR, UNSIGNED
from billing.fields import RoublesFormField
from billing.figures import grouped, plain_roubles, roubles
from billing.models import PromoBatch, PromoCode, Proposal, ProposalKind
from billing.money import LARGEST as LARGEST_WORTH
from billing.money import Micro, as_roubles

MOST_CODES = 10_000
# For so long a batch's codes can be looked at and downloaded.
SHOWN_FOR = timedelta(hours=1)
ROOM = {"widget": UnfoldAdminTextInputWidget}
BATCH_WAITS = gettext_lazy(
    "Партия ждёт второй подписи. Скачайте коды сейчас; работать они начнут, когда подтвердит другой оператор."
)


class BatchForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Для чего"),
        max_length=200,
        help_text=gettext_lazy("По этому названию партию найдут: «Конференция, ноябрь»."),
        **ROOM,
    )
    amount = RoublesFormField(
        label=gettext_lazy("Сумма одного кода, ₽"), min_value=0, max_value=LARGEST, **ROOM
    )
    count = forms.IntegerField(
        label=gettext_lazy("Сколько кодов"),
        min_value=1,
        max_value=MOST_CODES,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    max_uses = forms.IntegerField(
        label=gettext_lazy("Сколько клиентов на код"),
        min_value=1,
        max_value=1_000_000,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Действуют до"),
        required=False,
        help_text=gettext_lazy("Пусто — бессрочно."),
        widget=UnfoldAdminSplitDateTimeWidget,
    )
    prefix = forms.CharField(
        label=gettext_lazy("Начало кода"),
        max_length=12,
        required=False,
        help_text=gettext_lazy("Латинские буквы и цифры: NOV даст NOV-ABCD-EFGH-JKMN."),
        validators=[RegexValidator(r"^[A-Za-z0-9]+$", gettext_lazy("Только латинские буквы и цифры."))],
        **ROOM,
    )

    def clean_amount(self) -> Micro:
        if not self.cleaned_data["amount"]:
            raise ValidationError(_("Сумма не может быть нулём."))
        return self.cleaned_data["amount"]

    def clean_prefix(self) -> str:
        return self.cleaned_data["prefix"].upper()

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment and moment <= timezone.now():
            raise ValidationError(_("Этот срок уже прошёл."))
        return moment

    def clean(self) -> dict[str, Any]:
        if not self.errors and self.worth() > LARGEST_WORTH:
            self.add_error("count", TOO_DEAR)
        return self.cleaned_data

    def worth(self) -> Micro:
        """What the batch brings if everybody uses it."""
        typed = self.cleaned_data
        return typed["amount"] * typed["count"] * typed["max_uses"]

    @transaction.atomic
    def issue(self, by: User) -> Proposal:
        """The batch, which another operator has to sign where it is large."""
        typed = self.cleaned_data
        batch = PromoBatch(note=typed["note"], prefix=typed["prefix"], created_by=by)
        batches.issue(batch, **{name: typed[name] for name in ("amount", "count", "max_uses", "expires_at")})
        asked = Proposal(
            kind=ProposalKind.PROMO,
            batch=batch,
            amount=self.worth(),
            reason=batch.note,
            cause=f"promo {batch.pk}",
            asked_by=by,
        )
        return proposals.submit(asked)


@admin.register(PromoBatch)
class PromoBatchAdmin(History):
    """Made by its own form; its codes are switched together."""

    change_form_template = "billing/desk/batch.html"
    list_display = ["created_at", "note", "codes", "used", "credited", "on", "created_by"]
    list_filter = [("created_at", MomentRange)]
    list_select_related = ["created_by"]
    search_fields = ["note", "prefix"]
    fields = ["note", "created_at", "created_by", "codes", "worth", "used", "credited", "standing"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PromoBatch]:
        return (
            super()
            .get_queryset(request)
            .select_related("proposal")
            .annotate(
                issued=Count("codes"),
                uses=Sum("codes__used", default=0),
                brought=Sum(F("codes__used") * F("codes__amount"), default=0),
                most=Sum(F("codes__max_uses") * F("codes__amount"), default=0),
                enabled=Count("codes", filter=Q(codes__is_enabled=True)),
            )
        )

    @admin.display(description=gettext_lazy("кодов"))
    def codes(self, batch: PromoBatch) -> str:
        return grouped(batch.issued)

    @admin.display(description=gettext_lazy("использовано раз"))
    def used(self, batch: PromoBatch) -> str:
        return grouped(batch.uses)

    @admin.display(description=gettext_lazy("зачислено, ₽"))
    def credited(self, batch: PromoBatch) -> str:
        return money(int(batch.brought))

    @admin.display(description=gettext_lazy("если используют все, ₽"))
    def worth(self, batch: PromoBatch) -> str:
        return money(int(batch.most))

    @display(
        description=gettext_lazy("состояние"), label={"on": "success", "off": "danger", "some": "warning"}
    )
    def on(self, batch: PromoBatch) -> tuple[str, str]:
        if batch.is_unsigned:
            waits = batch.proposal.is_waiting
            return ("some", _("ждёт второй подписи")) if waits else ("off", _("не подписана"))
        if not batch.enabled:
            return "off", _("выключена")
        if batch.enabled == batch.issued:
            return "on", _("включена")
        on, all_ = grouped(batch.enabled), grouped(batch.issued)
        return "some", _("включено {on} из {all}").format(on=on, all=all_)

    @admin.display(description=gettext_lazy("состояние"))
    def standing(self, batch: PromoBatch) -> str:
        return self.on(batch)[1]

    # --- Its pages ---------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        pages = {"switch": self.switch_view, "codes": self.codes_view}
        return [
            *(
                path(f"<int:number>/{name}/", self.admin_site.admin_view(view), name=self._name(name))
                for name, view in pages.items()
            ),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """How many, for how much; then the codes."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = BatchForm(request.POST or None)
        if form.is_valid():
            asked = form.issue(request.user)
            typed, batch = form.cleaned_data, asked.batch
            sentence = _("Выпущено кодов: {count}, по {amount} ₽, клиентов на код: {uses}.")
            told = sentence.format(
                count=grouped(typed["count"]),
                amount=plain_roubles(typed["amount"]),
                uses=grouped(typed["max_uses"]),
            )
            if asked.pk:
                told = " ".join([told, _("Ждут второй подписи.")])
                self.message_user(request, BATCH_WAITS, messages.WARNING)
            record(request, PromoBatch, told, batch)
            return redirect(reverse(f"admin:{self._name('codes')}", args=[batch.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Новая партия промокодов"),
            "form": form,
            "alone": roubles(proposals.threshold()),
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "billing/desk/new_batch.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":  # also "save as new", which would make a batch without codes
            raise PermissionDenied
        batch = self.get_object(request, object_id)
        shown: dict[str, Any] = {
            "batch": batch,
            "batch_number": object_id,
            "may_switch": self.has_switch_permission(request),
        }
        if batch is not None and batch.is_unsigned and request.user.has_perm("billing.view_proposal"):
            shown["proposal_address"] = reverse("admin:billing_proposal_change", args=[batch.proposal.pk])
        if batch is not None and _may_read(batch, request):
            shown["codes_address"] = reverse(f"admin:{self._name('codes')}", args=[batch.pk])
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def codes_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """The words themselves: a page, and as CSV by a POST."""
        batch = self.get_object(request, str(number))
        if batch is None:
            raise Http404
        if not _may_read(batch, request):
            raise PermissionDenied
        codes = batch.codes.order_by("code")
        if request.method == "POST":
            record(request, PromoBatch, _("Скачаны коды: {count}").format(count=grouped(batch.issued)), batch)
            head = [_("Код"), _("Сумма, ₽"), _("Клиентов"), _("Действует до")]
            return download(request, "promo", head, map(_row, codes.iterator(2_000)))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Коды: {batch}").format(batch=batch),
            "batch": batch,
            "codes": codes,
            "batch_address": reverse(f"admin:{self._name('change')}", args=[batch.pk]),
            "media": self.media,
        }
        return TemplateResponse(
            request, "billing/desk/codes.html", context, headers={"Cache-Control": "no-store"}
        )

    def switch_view(self, request: HttpRequest, number: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        batch = self.get_object(request, str(number))
        if batch is None:
            raise Http404
        if not self.has_switch_permission(request):
            raise PermissionDenied
        on = "on" in request.POST
        if on and batch.is_unsigned:
            self.message_user(request, UNSIGNED, messages.ERROR)
            return redirect(reverse(f"admin:{self._name('change')}", args=[batch.pk]))
        count = grouped(batches.switch(batch, on=on))
        sentence = _("Включено кодов: {count}.") if on else _("Выключено кодов: {count}.")
        record(request, PromoBatch, sentence.format(count=count), batch)
        self.message_user(request, sentence.format(count=count), messages.SUCCESS)
        return redirect(reverse(f"admin:{self._name('change')}", args=[batch.pk]))

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_promobatch") and self.has_view_permission(request)

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"


def _row(promo: PromoCode) -> list[Any]:
    return [promo.code, Decimal(as_roubles(promo.amount)), promo.max_uses, promo.expires_at]


def _may_read(batch: PromoBatch, request: HttpRequest) -> bool:
    """The words are money: only who made them sees them, and not for long."""
    return batch.created_by_id == request.user.pk and batch.created_at > timezone.now() - SHOWN_FOR
