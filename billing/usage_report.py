"""What a customer asks of his usage, and the figures that answer it: from sums of hours alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Aggregate, F, Min, QuerySet, Sum
from django.db.models.functions import Trunc
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Client
from billing.durations import CLASSES, percentile
from billing.models import UsageHour, UsageMark
from billing.money import Micro, as_roubles
from billing.periods import MOSCOW

DAY, HOUR = "day", "hour"
STEPS = {DAY: timedelta(days=1), HOUR: timedelta(hours=1)}
MODEL, KEY = "model", "key"
# What a chart may show of each hour. PostgreSQL adds up bigints to decimals; see ``_whole``.
MEASURES: Mapping[str, Aggregate] = {
    "cost": Sum("cost"),
    "tokens": Sum(F("tokens_prompt") + F("tokens_completion")),
    "requests": Sum("requests"),
}
COUNTED = (
    *("requests", "answers", "errors", "cancelled"),
    *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
    *("cost", "refunded"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """``since`` and ``until`` are days in Moscow, both of them included. Without model or key: all."""

    client: Client
    since: date
    until: date
    by: str = DAY
    split: str = MODEL
    measure: str = "cost"
    model: str = ""
    key: ApiKey | None = None

    @property
    def start(self) -> datetime:
        return datetime.combine(self.since, time(), MOSCOW)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.until + timedelta(days=1), time(), MOSCOW)

    @property
    def group(self) -> str:
        return "model" if self.split == MODEL else "key_id"

    def moments(self) -> list[datetime]:
        """Where each column of the chart begins."""
        step = STEPS[self.by]
        return [self.start + step * number for number in range((self.end - self.start) // step)]


@dataclass(frozen=True, slots=True)
class Totals:
    """Milliseconds are of answers: percentiles within a fifth, see ``billing.durations``."""

    requests: int
    answers: int
    errors: int
    cancelled: int
    tokens_prompt: int
    tokens_completion: int
    tokens_cached: int
    tokens_reasoning: int
    cost: Micro
    refunded: Micro
    p50: int | None
    p95: int | None
    first_token: int | None  # the mean

    @property
    def tokens(self) -> int:
        return self.tokens_prompt + self.tokens_completion


@dataclass(frozen=True, slots=True)
class Part:
    """What one model, or one key, has of the whole."""

    name: str
    requests: int
    errors: int
    tokens: int
    cost: Micro
    values: list[int]  # of the chart, one for each moment


def totals(question: Question) -> Totals:
    sums = {name: Sum(name, default=0) for name in (*COUNTED, "first_token_ms", "first_tokens")}
    classes = {f"class_{number}": Sum(f"durations__{number}", default=0) for number in range(CLASSES)}
    found = {name: int(sum_) for name, sum_ in _rows(question).aggregate(**sums, **classes).items()}
    counts = [found[name] for name in classes]
    return Totals(
        **{name: found[name] for name in COUNTED},
        p50=percentile(counts, 50),
        p95=percentile(counts, 95),
        first_token=found["first_token_ms"] // found["first_tokens"] if found["first_tokens"] else None,
    )


def parts(question: Question) -> list[Part]:
    """Of each model or key, the greatest first."""
    wanted = {name: MEASURES[name] for name in MEASURES} | {"errors": Sum("errors")}
    groups = _rows(question).values(question.group).annotate(**wanted).order_by()
    names, values = key_names(question.client) if question.split == KEY else {}, _values(question)
    found = [
        Part(
            name=_name(question, names, group[question.group]),
            values=values[group[question.group]],
            **{name: int(group[name]) for name in wanted},
        )
        for group in groups
    ]
    return sorted(found, key=lambda part: (-getattr(part, question.measure), part.name))


def models_of(question: Question) -> list[str]:
    """Which were asked in the period, whatever else is filtered by."""
    return list(_hours(question).order_by("model").values_list("model", flat=True).distinct())


def waits_since(question: Question) -> datetime | None:
    """Since when something of the period waits to be counted."""
    marks = UsageMark.objects.filter(hour__gte=question.start, hour__lt=question.end)
    moment: datetime | None = marks.aggregate(oldest=Min("at"))["oldest"]
    return moment


def key_names(client: Client) -> dict[int, str]:
    return {key.pk: f"{key.title} ({key.prefix}…)" for key in client.keys.all()}


# --- As a table for a spreadsheet ------------------------------------------------------------------


def columns() -> list[str]:
    return [
        *(_("Начало"), _("Модель"), _("Ключ")),
        *(_("Запросов"), _("Ответов"), _("Ошибок"), _("Прервано клиентом")),
        *(_("Токенов запроса"), _("Токенов ответа"), _("Из кеша"), _("Рассуждений")),
        *(_("Стоимость, ₽"), _("Возвращено, ₽")),
    ]


def lines(question: Question) -> Iterator[list[Any]]:
    """Of each moment, model and key; read while they are taken."""
    names = key_names(question.client)
    groups = _by_moment(question).values("at", "model", "key_id")
    for row in groups.annotate(**{name: Sum(name) for name in COUNTED}).order_by("at", "model", "key_id"):
        at = row["at"] if question.by == HOUR else row["at"].date()
        counts = [int(row[name]) for name in COUNTED[:8]]
        money = [Decimal(as_roubles(int(row[name]))) for name in COUNTED[8:]]
        yield [at, row["model"], names.get(row["key_id"], _("удалённый ключ")), *counts, *money]


# --- Rows ----------------------------------------------------------------------------------------------


def _hours(question: Question) -> QuerySet[UsageHour]:
    rows = UsageHour.objects.filter(client=question.client)
    return rows.filter(hour__gte=question.start, hour__lt=question.end).order_by()


def _rows(question: Question) -> QuerySet[UsageHour]:
    rows = _hours(question)
    if question.model:
        rows = rows.filter(model=question.model)
    return rows.filter(key=question.key) if question.key else rows


def _by_moment(question: Question) -> QuerySet[UsageHour]:
    return _rows(question).annotate(at=Trunc("hour", question.by, tzinfo=MOSCOW))


def _values(question: Question) -> dict[Any, list[int]]:
    """By model or key, what the chart shows of it at each moment."""
    moments = {moment: place for place, moment in enumerate(question.moments())}
    groups = _by_moment(question).values("at", question.group).annotate(value=MEASURES[question.measure])
    found: dict[Any, list[int]] = {}
    for row in groups.order_by():
        values = found.setdefault(row[question.group], [0] * len(moments))
        values[moments[row["at"]]] = int(row["value"])
    return found


def _name(question: Question, names: Mapping[int, str], group: Any) -> str:
    return str(group) if question.split == MODEL else names.get(group, _("удалённый ключ"))


def joined(some: Iterable[Part]) -> Part:
    """Those that a chart has no room for, as one."""
    rest = list(some)
    sums = {
        name: sum(getattr(part, name) for part in rest) for name in ("requests", "errors", "tokens", "cost")
    }
    values = [sum(column) for column in zip(*(part.values for part in rest), strict=True)]
    return Part(name=_("остальные"), values=values, **sums)
