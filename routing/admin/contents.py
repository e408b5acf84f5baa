"""On a generation's page: whether its content is kept, and a look at it, whose reason the journal keeps.

One at a time and by a form: there is no list of contents, no search in them, and no export.
"""

from typing import Any, NamedTuple

import orjson
from django.core.exceptions import PermissionDenied
from django.core.validators import MinLengthValidator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from accounts import journal
from accounts.admin.steps import ReasonForm
from accounts.moments import to_minute
from billing.models import Generation
from providers.vault import VaultError
from routing.contents import shelf
from routing.contents.models import Content

PERMISSION = "routing.view_content"
# Characters: «надо» is no reason.
SHORTEST_REASON = 10
# Members of a message that are read as they are; the others are read as JSON.
WORDS = {"role", "content", "text"}
NOT_KEPT = _("Содержание не хранится.")


class LookForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields["reason"]
        reason.validators.append(
            MinLengthValidator(SHORTEST_REASON, _("Напишите, зачем: не короче %(limit_value)d знаков."))
        )
        reason.help_text = _("Например, номер обращения и что проверяется. Останется в журнале.")


class Look:
    """What the page of a step says; see ``accounts.admin.steps``."""

    title, icon, hurts = _("Посмотреть содержание"), "visibility", False

    @staticmethod
    def consequences(generation: Generation) -> list[Any]:
        return [
            _("Вы увидите вопрос и ответ клиента «%(client)s», как они были отправлены и получены.")
            % {"client": generation.client},
            _("Кто, когда, на что и зачем смотрел, останется в журнале; самого содержания там не будет."),
        ]


class Block(NamedTuple):
    """A part of a question or an answer, as it is read."""

    title: str
    text: str


class ShowsContent(ModelAdmin):
    """For the admin of generations."""

    change_form_template = "routing/desk/generation.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.content_view)
        return [
            path("<path:object_id>/content/", view, name="billing_generation_content"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            extra_context = {"content": _state(request, row), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def content_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """First the question why, then the content."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not (self.has_view_permission(request, row) and request.user.has_perm(PERMISSION)):
            raise PermissionDenied
        content = shelf.in_force(row.pk)
        form = LookForm(request.POST if request.method == "POST" else None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "original": row}
        if content is not None and request.method == "POST" and form.is_valid():
            template, told = "routing/desk/content.html", _shown(row, content, form.cleaned_data["reason"])
        else:
            objection = "" if content else NOT_KEPT
            template = "accounts/desk/step.html"
            told = {
                "step": Look,
                "objection": objection,
                "consequences": Look.consequences(row),
                "form": form,
            }
        context = {**context, "title": Look.title, **told}
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})


def _state(request: HttpRequest, row: Generation) -> dict[str, Any]:
    content = shelf.in_force(row.pk)
    if content is None:
        return {"told": NOT_KEPT}
    told = _("Содержание хранится до %(until)s.") % {"until": to_minute(shelf.until(content))}
    if not request.user.has_perm(PERMISSION):
        return {"told": told, "refusal": _("Смотреть его вам не разрешено.")}
    return {"told": told, "address": reverse("admin:billing_generation_content", args=[row.pk])}


def _shown(row: Generation, content: Content, reason: str) -> dict[str, Any]:
    """What the page shows. The look is in the journal before anything is opened."""
    with transaction.atomic():
        sentence = gettext("Просмотр содержания, клиент «%(client)s». Причина: %(reason)s")
        told = sentence % {"client": row.client, "reason": reason}
        journal.note(row, {}, told, journal.Change.Action.ACCESS)
    try:
        opened = shelf.opened(content)
    except VaultError as exc:
        return {"failure": str(exc)}
    except Content.DoesNotExist:
        return {"failure": NOT_KEPT}
    return {
        "reason": reason,
        "question": _blocks(opened.question),
        "answer": _blocks(opened.answer),
        "question_is_cut": opened.question_is_cut,
        "answer_is_cut": opened.answer_is_cut,
    }


def _blocks(text: bytes) -> list[Block]:
    """Messages one by one, then the rest as JSON.

    As it is where it was cut in the middle, or has a customer's own things by the names of ours.
    """
    try:
        return _parts(orjson.loads(text))
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return [Block("", text.decode(errors="replace"))] if text else []


def _parts(told: dict[str, Any]) -> list[Block]:
    said = [*(told.pop("messages", None) or ()), *_answers(told)]
    said += [{"role": name, "content": told.pop(name)} for name in ("prompt", "input") if name in told]
    return [*map(_block, said), Block(str(_("Остальные поля")), _json(told))]


def _answers(told: dict[str, Any]) -> list[dict[str, Any]]:
    """What each choice says, in a chat or in a text; it is taken out of there."""
    choices = told.get("choices", ())
    return [each.pop("message", None) or {"text": each.pop("text", None)} for each in choices]


def _block(message: dict[str, Any]) -> Block:
    role = str(message.get("role") or _("ответ"))
    words = message.get("content") or message.get("text") or ""
    others = {name: value for name, value in message.items() if name not in WORDS and value}
    parts = [words if isinstance(words, str) else _json(words), _json(others) if others else ""]
    return Block(role, "\n\n".join(filter(None, parts)))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
