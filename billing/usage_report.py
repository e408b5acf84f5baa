"""What a customer asks of his usage, and the figures that answer it: from sums of hours alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Aggregate, F, Min, QuerySet, Sum
from django.db.models.functions import Trunc
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Client, User
from billing.durations import CLASSES, percentile
from billing.models import UsageHour, UsageMark
from billing.money import Micro, as_roubles
from billing.periods import MOSCOW

DAY, HOUR = "day", "hour"
STEPS = {DAY: timedelta(days=1), HOUR: timedelta(hours=1)}
MODEL, KEY, MEMBER = "model", "key", "member"
# A member's requests are those of the keys he has made, the playground's included.
GROUPS = {MODEL: "model", KEY: "key_id", MEMBER: "key__created_by_id"}
# What a chart may show of each hour. PostgreSQL adds up bigints to decimals; see ``_whole``.
MEASURES: Mapping[str, Aggregate] = {
    "cost": Sum("cost"),
    "tokens": Sum(F("tokens_prompt") + F("tokens_completion")),
    "requests": Sum("requests"),
    "errors": Sum("errors"),
}
# Milliseconds of half of the answers at most. No sum, and so apart.
LATENCY = "latency"
COUNTED = (
    *("requests", "answers", "errors", "cancelled"),
    *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
    *("cost", "refunded"),
)


# How many answers took how long, by class.
DURATIONS = {f"class_{number}": Sum(f"durations__{number}", default=0) for number in range(CLASSES)}


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
        return GROUPS[self.split]

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
    """What one model, key or member has of the whole."""

    name: str
    requests: int
    errors: int
    tokens: int
    cost: Micro
    latency: int | None
    values: list[int | None]  # of the chart, one for each moment


def totals(question: Question) -> Totals:
    sums = {name: Sum(name, default=0) for name in (*COUNTED, "first_token_ms", "first_tokens")}
    found = {name: int(sum_) for name, sum_ in _rows(question).aggregate(**sums, **DURATIONS).items()}
    return Totals(
        **{name: found[name] for name in COUNTED},
        p50=_percentile(found, 50),
        p95=_percentile(found, 95),
        first_token=found["first_token_ms"] // found["first_tokens"] if found["first_tokens"] else None,
    )


def parts(question: Question) -> list[Part]:
    """Of each model, key or member, the greatest first."""
    groups = _rows(question).values(question.group).annotate(**MEASURES, **DURATIONS).order_by()
    name, values = _namer(question), _values(question)
    found = [
        Part(
            name=name(group[question.group]),
            latency=_percentile(group, 50),
            values=values[group[question.group]],
            **{measure: int(group[measure]) for measure in MEASURES},
        )
        for group in groups
    ]
    greatest = "requests" if question.measure == LATENCY else question.measure
    return sorted(found, key=lambda part: (-getattr(part, greatest), part.name))


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


def _values(question: Question) -> dict[Any, list[int | None]]:
    """By model, key or member, what the chart shows of it at each moment."""
    moments = {moment: place for place, moment in enumerate(question.moments())}
    is_latency = question.measure == LATENCY
    wanted = DURATIONS if is_latency else {"value": MEASURES[question.measure]}
    found: dict[Any, list[int | None]] = {}
    for row in _by_moment(question).values("at", question.group).annotate(**wanted).order_by():
        values = found.setdefault(row[question.group], [None if is_latency else 0] * len(moments))
        values[moments[row["at"]]] = _percentile(row, 50) if is_latency else int(row["value"])
    return found


def _percentile(row: Mapping[str, Any], percent: int) -> int | None:
    return percentile([int(row[name]) for name in DURATIONS], percent)


def _namer(question: Question) -> Callable[[Any], str]:
    """How what one group has in common is called."""
    if question.split == MODEL:
        return str
    if question.split == KEY:
        names, nobody = key_names(question.client), _("удалённый ключ")
    else:
        names, nobody = _member_names(question.client), _("ключи, созданные не в кабинете")
    return lambda group: names.get(group, nobody)


def _member_names(client: Client) -> dict[int, str]:
    """Of all who have made a key here, also of those who have left."""
    people = User.objects.filter(pk__in=client.keys.values("created_by"))
    return {person.pk: str(person) for person in people}


def joined(some: Iterable[Part]) -> Part:
    """Those that a chart of sums has no room for, as one."""
    rest = list(some)
    sums = {
        name: sum(getattr(part, name) for part in rest) for name in ("requests", "errors", "tokens", "cost")
    }
    values = [sum(column) for column in zip(*(part.values for part in rest), strict=True)]
    return Part(name=_("остальные"), latency=None, values=values, **sums)
