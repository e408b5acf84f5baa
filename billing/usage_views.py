"""The customers' pages of usage: figures and charts of a period, and the list of its generations."""

import json
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Client
from accounts.views import PrivateView
from billing import usage_report
from billing.admin.export import download
from billing.charts import COLUMNS, LINES, NUMBER, ROUBLES, Unit, chart_told, dashed, stacked
from billing.figures import duration, grouped, roubles
from billing.models import Generation, GenerationStatus
from billing.pages import page_of
from billing.usage_report import DAY, HOUR, KEY, LATENCY, MEMBER, MODEL, Part, Question

# Days: what is shown at first, the most of a period, and the most of it by the hour.
USUAL, LONGEST, LONGEST_BY_HOUR = 7, 366, 14
# Years.
EARLIEST, LATEST = 2000, 2200
# Of a chart; the others are shown as one.
SERIES = 6
# What waits longer than this to be counted is told of.
PATIENCE = timedelta(minutes=3)
GENERATIONS_PER_PAGE = 50
STEPS = [(DAY, _("по дням")), (HOUR, _("по часам"))]
SPLITS = [(MODEL, _("по моделям")), (KEY, _("по ключам")), (MEMBER, _("по участникам"))]
# What the names in the first column of the table are.
NAMED = {MODEL: _("Модели"), KEY: _("Ключи"), MEMBER: _("Участники")}
MEASURES = [
    ("cost", _("Рубли")),
    ("tokens", _("Токены")),
    ("requests", _("Запросы")),
    ("errors", _("Ошибки")),
    (LATENCY, _("Время ответа, p50")),
]
WRITTEN = {"cost": roubles, LATENCY: duration}
TOLD = dict([*STEPS, *SPLITS, *MEASURES])


class KeyField(forms.ModelChoiceField):
    def label_from_instance(self, key: ApiKey) -> str:
        return f"{key.title} ({key.prefix}…)"


class DayField(forms.DateField):
    def __init__(self, **kwargs: Any) -> None:
        # With bounds a year that is being typed is none yet, and nothing is asked.
        attrs = {"type": "date", "min": f"{EARLIEST}-01-01", "max": f"{LATEST}-12-31"}
        shown = forms.DateInput(attrs=attrs, format="%Y-%m-%d")
        super().__init__(input_formats=["%Y-%m-%d"], required=False, widget=shown, **kwargs)


class PeriodForm(forms.Form):
    """Which days, model and key. What is not said is the usual."""

    since = DayField(label=_("С"))
    until = DayField(label=_("По"))
    model = forms.CharField(label=_("Модель"), max_length=200, required=False, widget=forms.Select)
    key = KeyField(label=_("Ключ"), queryset=None, required=False, empty_label=_("все"))

    def __init__(self, client: Client, said: Any) -> None:
        today = timezone.localdate()
        usual = {"until": today, "since": today - timedelta(days=USUAL - 1), **self.usual}
        told = {name: said.get(name) or usual.get(name, "") for name in self.base_fields}
        super().__init__(told)
        self.client = client
        self.fields["key"].queryset = client.keys.order_by("label", "pk")
        self._choose_from(set())

    usual: dict[str, Any] = {}

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean()
        since, until = told.get("since"), told.get("until")
        if since and until:
            self._look_at(since, until)
        return told

    def offer(self, models: list[str]) -> None:
        """Let one of these be chosen."""
        self._choose_from(set(models))

    def question(self) -> Question:
        return Question(self.client, **self.cleaned_data)

    def _choose_from(self, models: set[str]) -> None:
        """Of these, and of what was chosen already."""
        names = sorted(models | {self.data["model"]} - {""})
        self.fields["model"].widget.choices = [("", gettext("все")), *((name, name) for name in names)]

    def _look_at(self, since: date, until: date) -> None:
        if since > until:
            self.add_error("until", gettext("Конец периода раньше начала."))
        elif since.year < EARLIEST or until.year > LATEST:
            self.add_error("since", gettext("Таких дней у нас нет."))
        elif (until - since).days >= LONGEST:
            self.add_error("since", gettext("Период — не больше 366 дней."))


class UsageForm(PeriodForm):
    by = forms.ChoiceField(label=_("Шаг"), choices=STEPS)
    split = forms.ChoiceField(label=_("Делить"), choices=SPLITS)
    measure = forms.ChoiceField(label=_("Считать"), choices=MEASURES)

    usual = {"by": DAY, "split": MODEL, "measure": "cost"}

    def _look_at(self, since: date, until: date) -> None:
        super()._look_at(since, until)
        if self.data["by"] == HOUR and (until - since).days >= LONGEST_BY_HOUR:
            self.add_error("by", gettext("По часам — не больше 14 дней."))


class ListForm(PeriodForm):
    status = forms.ChoiceField(
        label=_("Исход"), choices=[("", _("все")), *GenerationStatus.choices], required=False
    )

    def question(self) -> Question:
        facts = {name: told for name, told in self.cleaned_data.items() if name != "status"}
        return Question(self.client, **facts)


class UsagePage(PrivateView):
    """Figures of a period, a chart of them, and the same as a table."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        form = UsageForm(client, request.GET)
        context = {"client": client, "form": form, "query": request.GET.urlencode()}
        if form.is_valid():
            question = form.question()
            form.offer(usage_report.models_of(question))
            context |= _figures(question)
        return render(request, "billing/usage.html", context)


class UsageExport(PrivateView):
    """What the page shows, as CSV."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        form = UsageForm(self.client(pk), request.GET)
        if not form.is_valid():
            return redirect(f"{reverse('usage', args=[pk])}?{request.GET.urlencode()}")
        return download(request, "usage", usage_report.columns(), usage_report.lines(form.question()))


class UsageGenerations(PrivateView):
    """The requests of a period, the latest first."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        form = ListForm(client, request.GET)
        context: dict[str, Any] = {"client": client, "form": form, "query": _without(request, "before")}
        if form.is_valid():
            question = form.question()
            form.offer(usage_report.models_of(question))
            rows = _requests(question, form.cleaned_data["status"])
            shown, has_more = page_of(rows, client, request.GET.get("before"), GENERATIONS_PER_PAGE)
            context |= {"generations": shown, "has_more": has_more, "is_newest": "before" not in request.GET}
        return render(request, "billing/usage_generations.html", context)


def _figures(question: Question) -> dict[str, Any]:
    parts, waits = usage_report.parts(question), usage_report.waits_since(question)
    is_sum = question.measure != LATENCY
    shown = _shown(parts, is_sum=is_sum)
    chart = (stacked if is_sum else dashed)([part.values for part in shown])
    tell = WRITTEN.get(question.measure, grouped)
    title = " ".join(str(TOLD[word]) for word in (question.measure, question.by, question.split))
    return {
        "question": question,
        "named": NAMED[question.split],
        "title": title,
        "totals": usage_report.totals(question),
        "parts": parts,
        "shown": [(number, part) for number, part in enumerate(shown)],
        "are_all_shown": is_sum or len(shown) < SERIES or len(shown) == len(parts),
        "chart": chart,
        "told": json.dumps(_told(question, title, shown), ensure_ascii=False),
        "top": tell(chart.top),
        "half": tell(chart.top // 2),
        "is_sum": is_sum,
        "table": _table(question, shown, tell),
        "waits_since": waits if waits and waits < timezone.now() - PATIENCE else None,
    }


def _told(question: Question, title: str, shown: list[Part]) -> dict[str, Any]:
    """What the browser draws a chart of."""
    whole, short = ("d.m.Y", "d.m") if question.by == DAY else ("d.m.Y H:i", "d.m H:i")
    units = {"cost": ROUBLES, LATENCY: Unit(sign=gettext("мс"))}
    return chart_told(
        LINES if question.measure == LATENCY else COLUMNS,
        [(part.name, part.values) for part in shown],
        label=f"{title}. {gettext('Те же числа — в таблице ниже.')}",
        moments=[(date_format(at, whole), date_format(at, short)) for at in question.moments()],
        unit=units.get(question.measure, NUMBER),
        of_all=gettext("Всего"),
    )


def _shown(parts: list[Part], *, is_sum: bool) -> list[Part]:
    """As many as can be told apart; what cannot be added up is left out."""
    if not is_sum:
        return [part for part in parts if part.latency is not None][:SERIES]
    if len(parts) <= SERIES:
        return parts
    return [*parts[: SERIES - 1], usage_report.joined(parts[SERIES - 1 :])]


def _table(question: Question, shown: list[Part], tell: Any) -> list[dict[str, Any]]:
    """What the chart shows, moment by moment; without those of which there is nothing to be told."""
    form = "d.m.Y" if question.by == DAY else "d.m.Y H:i"
    rows = zip(question.moments(), *(part.values for part in shown), strict=True)
    return [
        {
            "at": at,
            "form": form,
            "cells": [(part.name, tell(value)) for part, value in zip(shown, values, strict=True)],
            "sum": tell(sum(value or 0 for value in values)),
        }
        for at, *values in rows
        if any(values)
    ]


def _requests(question: Question, status: str) -> QuerySet[Generation]:
    # The index ``generation_of_client`` has this order: what is read is shown, or filtered away.
    rows = question.client.generations.filter(
        created_at__gte=question.start, created_at__lt=question.end
    ).select_related("key")
    if question.model:
        rows = rows.filter(Q(model=question.model) | Q(model="", model_requested=question.model))
    if question.key:
        rows = rows.filter(key=question.key)
    return rows.filter(status=status) if status else rows


def _without(request: HttpRequest, name: str) -> str:
    said = request.GET.copy()
    said.pop(name, None)
    return said.urlencode()
