"""The page an operator's day begins with: how business goes, who answers, what is wrong."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from redis.exceptions import RedisError

from billing import today
from billing.figures import grouped, roubles
from billing.models import Audit, Hold, Shift
from billing.today import Figures
from monitoring import heartbeats
from monitoring.charts import share
from monitoring.models import Incident
from monitoring.status import Condition, Status
from monitoring.vitals import Vitals
from providers.models import Provider
from routing import plane
from routing.admin.sparkline import sparkline
from routing.conditions import provider_statuses

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ERRORS = INCIDENTS = 8
# Seconds for which figures are good: the page is opened often, and adds up all of two days.
FRESH = 10
# A hold that is older than this has outlived every request, and who watches over holds does not work.
LONGEST_HOLD = 900
# Seconds: Celery's processes say that they live a few times a minute.
LONGEST_SILENCE = 120
CONDITIONS = {
    Condition.OPERATIONAL: (gettext_lazy("работает"), "success"),
    Condition.DEGRADED: (gettext_lazy("с перебоями"), "warning"),
    Condition.DOWN: (gettext_lazy("не отвечает"), "danger"),
}


class Card(NamedTuple):
    """A figure of today beside yesterday's at the same time of the day."""

    title: str
    value: str
    before: str
    change: str  # in percent, with its sign; "" where there is nothing to compare with
    is_worse: bool


class Sign(NamedTuple):
    """One thing that says whether the installation is well."""

    title: str
    value: str
    is_well: bool
    link: str


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """``context`` with what this operator may see of the day. Unfold calls it."""
    now = timezone.now()
    sees_money, sees_requests = (
        request.user.has_perm(f"billing.view_{name}") for name in ("transfer", "generation")
    )
    seen = _seen(now)
    return {
        **context,
        "title": _("Сегодня"),
        "now": now,
        "cards": list(_cards(seen["today"], seen["before"], with_money=sees_money)),
        "chart": json.dumps(_chart(seen["hours"], today.midnight(now)), ensure_ascii=False),
        "has_requests": bool(seen["hours"]),
        "providers": list(_providers(seen["latencies"], now)),
        "signs": list(_signs(now)),
        "incidents": _incidents() if request.user.has_perm("monitoring.view_incident") else None,
        "errors": today.newest_errors(ERRORS, now - DAY) if sees_requests else None,
    }


def _seen(now: datetime) -> dict[str, Any]:
    """What has to be added up, not older than ``FRESH`` seconds."""

    def add_up() -> dict[str, Any]:
        start = today.midnight(now)
        return {
            "today": today.figures(start, now),
            "before": today.figures(start - DAY, now - DAY),
            "hours": today.by_hour(start - DAY, now),
            "latencies": today.latencies(now - DAY, now),
        }

    found: dict[str, Any] = cache.get_or_set("start-page", add_up, FRESH)
    return found


def _cards(now: Figures, before: Figures, *, with_money: bool) -> Iterator[Card]:
    yield _card(_("Запросы"), now.requests, before.requests, grouped)
    yield _card(_("Успешных"), now.success, before.success, share)
    yield _card(_("Токены"), now.tokens, before.tokens, grouped)
    if with_money:
        yield _card(_("Выручка"), now.revenue, before.revenue, _kopecks)
        yield _card(_("Себестоимость"), now.own_cost, before.own_cost, _kopecks, more_is_worse=True)
        yield _card(_("Остаётся нам"), now.margin, before.margin, _kopecks)


def _card(title: str, now: Any, before: Any, shown: Any, *, more_is_worse: bool = False) -> Card:
    if not now or not before:
        return Card(title, shown(now), shown(before), "", is_worse=False)
    change = (now - before) / abs(before) * 100
    is_worse = (change > 0) is more_is_worse and abs(change) >= 1
    told = _("%s %%") % f"{change:+.0f}".replace("-", "−")
    return Card(title, shown(now), shown(before), told, is_worse)


def _kopecks(amount: int) -> str:
    return roubles(round(amount, -4))


def _chart(hours: Mapping[datetime, Mapping[str, int]], midnight: datetime) -> dict[str, Any]:
    """Requests of each hour of today over those of yesterday, as Chart.js takes them."""

    def row(start: datetime, most: int) -> list[int]:
        return [hours.get(start + HOUR * hour, {}).get("requests", 0) for hour in range(most)]

    elapsed = (timezone.now() - midnight) // HOUR + 1
    return {
        "labels": [f"{hour}:00" for hour in range(24)],
        "datasets": [
            {
                "label": _("сегодня"),
                "data": row(midnight, elapsed),
                "borderColor": "var(--color-primary-600)",
                "backgroundColor": "var(--color-primary-600)",
            },
            {
                "label": _("вчера"),
                "data": row(midnight - DAY, 24),
                "borderColor": "var(--color-base-400)",
                "backgroundColor": "var(--color-base-400)",
            },
        ],
    }


def _providers(latencies: Mapping[str, Mapping[datetime, int]], now: datetime) -> Iterator[dict[str, Any]]:
    statuses = provider_statuses(_vitals())
    first = now.replace(minute=0, second=0, microsecond=0) - DAY
    for provider in Provider.objects.filter(slug__in=statuses).select_related("twin").order_by("name"):
        names = [provider.slug, *([provider.twin.slug] if hasattr(provider, "twin") else [])]
        took = {hour: ms for name in names for hour, ms in latencies.get(name, {}).items()}
        line = [took.get(first + HOUR * hour) for hour in range(25)]
        yield {"provider": provider, **_told(statuses[provider.slug]), "line": sparkline(line, _spoken(line))}


def _told(status: Status) -> dict[str, Any]:
    label, colour = CONDITIONS[status.condition]
    return {
        "label": label,
        "colour": colour,
        "success": share(status.success_rate),
        "latency": None if status.latency is None else round(status.latency),
    }


def _spoken(line: list[int | None]) -> str:
    known = [ms for ms in line if ms is not None]
    if not known:
        return ""
    return _("Медиана за сутки по часам: от %(least)s до %(most)s мс") % {
        "least": grouped(min(known)),
        "most": grouped(max(known)),
    }


def _vitals() -> dict[int, Vitals]:
    """As this process has heard last; nothing where no server runs, as under ``manage.py``."""
    try:
        return dict(plane.current().health.latest())
    except IndexError:
        return {}


def _signs(now: datetime) -> Iterator[Sign]:
    oldest = Hold.objects.all().oldest()
    yield Sign(
        _("Старейший резерв"), _age(oldest) if oldest else _("нет"), oldest < LONGEST_HOLD, _list("hold")
    )
    yield _audit(Audit.objects.defer("report").order_by("-at").first(), now)
    yield from _alive()
    workers = Shift.objects.filter(alive_until__gte=now).count()
    yield Sign(
        _("Веб-процессы"), _("работают: %s") % workers if workers else _("нет"), workers > 0, _list("shift")
    )


def _alive() -> Iterator[Sign]:
    """What Celery's processes last said of themselves."""
    try:
        seen = heartbeats.seen()
    except RedisError:
        yield Sign("Redis", _("не отвечает"), False, "")
        return
    for name, title in ((heartbeats.BEAT, _("Расписание (beat)")), (heartbeats.WORKER, _("Задачи (worker)"))):
        silent = seen.get(name)
        told = _("не запускался") if silent is None else _age(silent)
        yield Sign(title, told, silent is not None and silent < LONGEST_SILENCE, "")


def _incidents() -> list[Incident]:
    return list(Incident.objects.open().select_related("provider").order_by("-opened_at")[:INCIDENTS])


def _audit(last: Audit | None, now: datetime) -> Sign:
    title = _("Последняя сверка")
    if last is None:
        return Sign(title, _("ещё не было"), False, _list("audit"))
    age = (now - last.at).total_seconds()
    found = _("сходится") if last.is_clean else _("расхождение")
    return Sign(title, f"{found}, {_age(age)}", last.is_clean and age < LONGEST_HOLD, _list("audit"))


def _list(model: str) -> str:
    return reverse(f"admin:billing_{model}_changelist")


def _age(seconds: float) -> str:
    if seconds < 120:
        return _("%d с назад") % seconds
    if seconds < 7200:
        return _("%d мин назад") % (seconds / 60)
    return _("%d ч назад") % (seconds / 3600)
