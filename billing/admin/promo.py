"""Promo codes one by one, and who typed wrong ones."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import RelatedDropdownFilter

from accounts.models import User
from billing import proposals
from billing.admin.desk import Desk, History, LockingForm, in_roubles
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, MomentRange
from billing.figures import grouped, plain_roubles
from billing.models import PromoCode, PromoTry
from billing.money import LARGEST as LARGEST_WORTH
from billing.money import Micro

UNSIGNED = gettext_lazy("Под партией нет второй подписи: её коды выключены.")
TOO_DEAR = gettext_lazy("Столько кодами не раздают: уменьшите сумму или число клиентов.")
BY_TWO = gettext_lazy(
    "За сутки один оператор выпускает кодов не больше чем на {limit} ₽. "
    "Выпустите партию, хотя бы из одного кода: её подпишет другой."
)


class PromoCodeForm(LockingForm):
    by: User
    # Whether the code brings more than before, and so is issued anew.
    is_raised = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        most = cleaned.get("max_uses")
        if most is not None and most < self.now.used:
            self.add_error(
                "max_uses", _("Не меньше %s: столько клиентов его уже использовали.") % self.now.used
            )
        if "amount" in self.changed_data and self.now.used:
            self.add_error("amount", _("Код уже использовали: сумма не меняется."))
        if cleaned.get("is_enabled") and self.now.batch_id and self.now.batch.is_unsigned:
            self.add_error("is_enabled", UNSIGNED)
        if not self.errors:
            self._check_worth(self._will_be("amount") * self._will_be("max_uses"))
        return cleaned

    def _will_be(self, name: str) -> Any:
        """What the row has once this is saved: what was typed, and of the rest what stands there now."""
        return self.cleaned_data[name] if name in self.changed_data else getattr(self.now, name)

    def _check_worth(self, worth: Micro) -> None:
        """What brings more than before counts as issued by who makes it so, now."""
        if self.now.pk and worth <= self.now.worth:
            return
        if worth > LARGEST_WORTH:
            self.add_error("max_uses", TOO_DEAR)
        elif self.now.batch_id:
            self.add_error(None, _("Коды партии дороже не становятся: выпустите новую партию."))
        elif not proposals.may_issue(worth, self.by, self.now.pk):
            limit = plain_roubles(proposals.threshold())
            self.add_error(None, BY_TWO.format(limit=limit))
        else:
            self.is_raised = True
            self.instance.issued_by, self.instance.issued_at = self.by, timezone.now()


@admin.register(PromoCode)
class PromoCodeAdmin(Exports, Desk):
    form = PromoCodeForm
    readonly_fields = ["uses", "word"]
    list_display = ["word", "amount", "uses", "expires_at", "is_enabled", "batch", "note"]
    list_filter = [
        "is_enabled",
        ("expires_at", MomentRange),
        ("amount", AmountRange),
        ("batch", RelatedDropdownFilter),
    ]
    list_select_related = ["batch"]
    search_fields = ["code__exact", "note"]
    search_help_text = gettext_lazy("Код целиком или примечание.")
    # Without the words: whoever may count codes may not spend them.
    exported = ["id", "batch", "amount", "max_uses", "used", "expires_at", "is_enabled", "note"]

    @admin.display(description=gettext_lazy("код"), ordering="code")
    def word(self, promo: PromoCode) -> str:
        return str(promo)

    @admin.display(description=gettext_lazy("использован"), ordering="used")
    def uses(self, promo: PromoCode) -> str:
        return _("%(used)s из %(max_uses)s") % {
            "used": grouped(promo.used),
            "max_uses": grouped(promo.max_uses),
        }

    def get_fields(self, request: HttpRequest, obj: PromoCode | None = None) -> list[str]:
        name = "word" if obj is not None and obj.batch_id else "code"
        return [name, "amount", "max_uses", "uses", "expires_at", "is_enabled", "note"]

    def get_readonly_fields(self, request: HttpRequest, obj: PromoCode | None = None) -> list[Any]:
        fixed = ["code", in_roubles(PromoCode, "amount")] if obj is not None and obj.used else []
        return [*super().get_readonly_fields(request, obj), *fixed]

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        form = super().get_form(request, *args, **kwargs)
        form.by = request.user  # a class of this request's own
        return form

    def save_model(self, request: HttpRequest, obj: PromoCode, form: forms.ModelForm, change: bool) -> None:
        # Not as they were read before the lock: somebody else may have raised the code meanwhile.
        issued = ["issued_by", "issued_at"] if form.is_raised else []
        obj.save(update_fields=[*form.changed_data, *issued] if change else None)

    def has_delete_permission(self, request: HttpRequest, obj: PromoCode | None = None) -> bool:
        return False  # once gone, each client could use its name anew; it is switched off instead


@admin.register(PromoTry)
class PromoTryAdmin(History):
    list_display = ["at", "user"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
