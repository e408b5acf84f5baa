"""Small pictures for the portal, drawn on the server: figures over time, with the same in words."""

from collections.abc import Sequence

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from monitoring.board import STEP, Point
from monitoring.models import Probe

WIDTH, HEIGHT, BAR, GAP = 120, 24, 10, 2
WELL, ILL, QUIET = "#16a34a", "#dc2626", "#94a3b8"
BAR_DRAWN = '<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>'


def share(value: float | None) -> str:
    """A share in per cent; what is not quite all is never told as all."""
    if value is None:
        return "—"
    percent = value * 100
    shown = (
        round(percent, 1)
        if value in {0.0, 1.0} or 0.05 <= percent < 99.95
        else (99.9 if value > 0.5 else 0.1)
    )
    return _("%s %%") % number_format(shown, 0 if shown == int(shown) else 1)


def milliseconds(value: float | None) -> str:
    return "—" if value is None else _("%s мс") % number_format(round(value), force_grouping=True)


def attempts(points: Sequence[Point]) -> SafeString:
    """Attempts of each step as bars: the failed in red."""
    most = max((point.attempts for point in points), default=0)
    bars = format_html_join("", BAR_DRAWN, _bars(points, most))
    told = ", ".join(share(point.success) for point in points)
    return _picture(bars, _("Успех по %(step)d с за 5 минут: %(told)s") % {"step": STEP, "told": told})


def latencies(points: Sequence[Point]) -> SafeString:
    """The median of each step as a line."""
    told = ", ".join(milliseconds(point.latency) for point in points)
    line = _line([point.latency for point in points])
    return _picture(line, _("p50 до первого токена по %(step)d с: %(told)s") % {"step": STEP, "told": told})


def hours(points: Sequence[Point]) -> SafeString:
    """Our own questions of each hour as bars: those without an answer in red. The oldest first."""
    most = max((point.attempts for point in points), default=0)
    bars = format_html_join("", BAR_DRAWN, _bars(points, most))
    told = _("Ответы на проверки по часам: %s") % ", ".join(share(point.success) for point in points)
    return _drawn(bars, told, max(len(points), 1) * (BAR + GAP), HEIGHT, "spark")


def probes(rows: Sequence[Probe]) -> SafeString:
    """How long each took, the oldest first; failed ones in red."""
    slowest = max((row.latency_ms or 0 for row in rows), default=0) or 1
    width = 12
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="9" height="{}" fill="{}"/>',
        (
            (width * place, 80 - _tall(row, slowest), _tall(row, slowest), WELL if row.ok else ILL)
            for place, row in enumerate(rows)
        ),
    )
    failed = sum(not row.ok for row in rows)
    told = _("Проб: %(all)d, без ответа: %(failed)d, самая долгая: %(slowest)s") % {
        "all": len(rows),
        "failed": failed,
        "slowest": milliseconds(slowest),
    }
    return _drawn(bars, told, max(width * len(rows), 1), 80, "probes-chart")


def _tall(row: Probe, slowest: float) -> int:
    return max(4, round(76 * (row.latency_ms or 0) / slowest))


def _bars(points: Sequence[Point], most: int) -> list[tuple[int, int, int, int, str]]:
    bars = []
    for place, point in enumerate(points):
        left = place * (BAR + GAP)
        if not point.attempts:
            bars.append((left, HEIGHT - 1, BAR, 1, QUIET))
            continue
        tall = max(3, round((HEIGHT - 2) * point.attempts / most))
        red = min(tall, max(1, round(tall * point.failures / point.attempts))) if point.failures else 0
        bars.append((left, HEIGHT - tall, BAR, tall - red, WELL))
        bars.append((left, HEIGHT - red, BAR, red, ILL))
    return bars


def _line(values: Sequence[float | None]) -> SafeString:
    known = [value for value in values if value is not None]
    top = max(known, default=0) or 1
    places = [
        (place * (BAR + GAP) + BAR // 2, round(HEIGHT - 2 - (HEIGHT - 4) * value / top))
        for place, value in enumerate(values)
        if value is not None
    ]
    dots = format_html_join("", '<circle cx="{}" cy="{}" r="1.5" fill="currentColor"/>', places)
    path = " ".join(f"{x},{y}" for x, y in places)
    return format_html('<polyline points="{}" fill="none" stroke="currentColor"/>{}', path, dots)


def _picture(drawing: SafeString, told: str) -> SafeString:
    return _drawn(drawing, told, WIDTH, HEIGHT, "spark")


def _drawn(drawing: SafeString, told: str, width: int, height: int, kind: str) -> SafeString:
    return format_html(
        '<svg class="{}" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">'
        "<title>{}</title>{}</svg>",
        kind,
        told,
        width,
        height,
        width,
        height,
        told,
        drawing,
    )
