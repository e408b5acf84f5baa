"""A copy of a model under another name: all that was typed but its other names."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from routing.admin.pages import Pages
from routing.models import Model


class CopyForm(forms.ModelForm):
    class Meta:
        model = Model
        fields = ["slug", "name"]
        widgets = dict.fromkeys(fields, UnfoldAdminTextInputWidget)

    def __init__(self, original: Model, *args: Any, **kwargs: Any) -> None:
        copy = Model.objects.get(pk=original.pk)
        # A row of its own, and not for customers before somebody has looked it over.
        copy.pk, copy._state.adding = None, True
        copy.created_at, copy.is_enabled = timezone.now(), False
        super().__init__(*args, **kwargs, instance=copy, initial={"slug": "", "name": original.name})
        self.original = original

    def save(self, commit: bool = True) -> Model:
        copy = super().save(commit)
        copy.clients.set(self.original.clients.all())
        for endpoint in self.original.endpoints.order_by("pk"):
            endpoint.pk, endpoint._state.adding = None, True
            endpoint.model = copy
            endpoint.save()
        return copy


class CopyPage(Pages):
    """For the admin of models."""

    def copy_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.row(request, object_id)
        if not self.may_copy(request):
            raise PermissionDenied
        form = CopyForm(model, request.POST or None)
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                copy = form.save()
                self.log_addition(request, copy, gettext("Копия модели %(slug)s.") % {"slug": model.slug})
            told = gettext("Это копия: она выключена, других имён у неё нет. Проверьте её и включите.")
            self.message_user(request, told, messages.SUCCESS)
            return redirect(reverse("admin:routing_model_change", args=[copy.pk]))
        return self.shown(request, "routing/desk/copy.html", _("Копия модели"), model, form=form)

    def may_copy(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and request.user.has_perm("routing.add_endpoint")
