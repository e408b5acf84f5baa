"""What is done to a row on a page of its own: what will happen is told first, then a form does it.

Each is a POST in a transaction that holds the row, and leaves an entry in the row's history.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import journal


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Причина"),
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Останется в истории; клиент её не увидит."),
    )


class NoteForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
        self.fields["reason"].label = _("Причина, если есть")


class Step(ABC):
    slug: ClassVar[str]
    title: ClassVar[Any]
    icon: ClassVar[str]
    permission: ClassVar[str]
    hurts: ClassVar[bool] = False
    form: ClassVar[type[forms.Form]] = ReasonForm

    def fits(self, row: Any) -> bool:
        """Whether the row's page offers it."""
        return not self.objection(row)

    def objection(self, row: Any) -> Any:
        """Why it cannot be done; empty if it can."""
        return ""

    @abstractmethod
    def consequences(self, row: Any) -> list[Any]:
        """What will happen, a sentence each."""

    @abstractmethod
    def take(self, request: HttpRequest, row: Any, typed: dict[str, Any]) -> tuple[Any, HttpResponse | None]:
        """Do it. What to write into the history, and where to go if not back to the row."""


class HasSteps(ModelAdmin):
    """An admin whose rows have steps: an address for each, a link on the row's page."""

    change_form_template = "accounts/desk/change_form.html"
    steps: ClassVar[list[Step]] = []

    def may_take(self, request: HttpRequest, step: Step, row: models.Model) -> bool:
        return request.user.has_perm(step.permission) and self.has_view_permission(request, row)

    def get_urls(self) -> list[URLPattern]:
        ours = [
            path(
                f"<path:object_id>/{step.slug}/",
                self.admin_site.admin_view(partial(self.step_view, step=step)),
                name=self._name(step.slug),
            )
            for step in self.steps
        ]
        return [*ours, *super().get_urls()]

    def steps_of(self, request: HttpRequest, row: models.Model) -> list[tuple[Step, str]]:
        """What this operator may do to ``row`` now, each with its address."""
        return [
            (step, reverse(f"admin:{self._name(step.slug)}", args=[row.pk]))
            for step in self.steps
            if step.fits(row) and self.may_take(request, step, row)
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            extra_context = {"steps": self.steps_of(request, row), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def step_view(self, request: HttpRequest, object_id: str, step: Step) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.may_take(request, step, row):
            raise PermissionDenied
        form = step.form(request.POST if request.method == "POST" else None)
        objection = step.objection(row)
        if request.method == "POST" and not objection and form.is_valid():
            objection, answer = self._take(request, step, row, form.cleaned_data)
            if not objection:
                return answer or redirect(f"admin:{self._name('change')}", row.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": step.title,
            "step": step,
            "objection": objection,
            "consequences": step.consequences(row),
            "form": form,
        }
        return TemplateResponse(request, "accounts/desk/step.html", context)

    def _take(
        self, request: HttpRequest, step: Step, row: models.Model, typed: dict[str, Any]
    ) -> tuple[Any, HttpResponse | None]:
        try:
            return self._take_held(request, step, row, typed)
        except ValidationError as exc:
            return " ".join(exc.messages), None

    def _take_held(
        self, request: HttpRequest, step: Step, row: models.Model, typed: dict[str, Any]
    ) -> tuple[Any, HttpResponse | None]:
        with transaction.atomic():
            # Held until the end, so that of two clicks the second sees what the first has done.
            held = self.model._default_manager.select_for_update(no_key=True).get(pk=row.pk)
            if objection := step.objection(held):
                return objection, None
            told, answer = step.take(request, held, typed)
            sentence = ". ".join(filter(None, [told, typed.get("reason")]))
            self.log_change(request, held, sentence)
            journal.note(held, {}, sentence)
            return "", answer

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"
