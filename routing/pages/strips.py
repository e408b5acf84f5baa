"""Small pictures of how a provider did over time: colours are the style's, the same is said in words."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from monitoring.hours import Minutes

PLACE, WIDE, HIGH = 10, 7, 34
# Less of a bar's time than this share is not coloured as one in which nothing worked.
MOSTLY_DOWN = 0.1


def strip(cells: Sequence[tuple[Minutes, str]], label: str) -> SafeString:
    """A bar for each span of time with what is said of it, the oldest first."""
    drawn = format_html_join(
        "",
        '<rect class="{}" x="{}" y="0" width="{}" height="{}" rx="2"><title>{}</title></rect>',
        ((colour(minutes), place * PLACE, WIDE, HIGH, told) for place, (minutes, told) in enumerate(cells)),
    )
    return _drawn("days", drawn, label, len(cells) * PLACE)


def colour(minutes: Minutes) -> str:
    """The class of a bar; a minute without answers is enough to tell it from one without."""
    if not minutes.known:
        return "nothing"
    if minutes.down > minutes.known * MOSTLY_DOWN:
        return "down"
    return "part" if minutes.down or minutes.degraded else "well"


def lines(series: Sequence[Sequence[int | None]], label: str) -> SafeString:
    """A line for each of the series from nothing up, broken where nothing is known."""
    top = max((value for values in series for value in values if value is not None), default=0) or 1
    width = max(map(len, series)) * PLACE
    drawn = format_html_join(
        "",
        '<path class="l{}" d="{}"/>',
        ((number, _path(values, top)) for number, values in enumerate(series)),
    )
    return _drawn("speeds", drawn, label, width)


def _path(values: Sequence[int | None], top: int) -> str:
    """Each value as wide as a bar, joined with the one before."""
    drawn, is_joined = [], False
    for place, value in enumerate(values):
        if value is not None:
            left, high = place * PLACE, round((HIGH - 4) * (1 - value / top) + 2, 1)
            drawn.append(f"{'L' if is_joined else 'M'}{left + 1},{high}H{left + WIDE + 1}")
        is_joined = value is not None
    return "".join(drawn)


def _drawn(kind: str, drawing: SafeString, label: str, width: int) -> SafeString:
    return format_html(
        '<svg class="{}" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>',
        kind,
        label,
        width,
        HIGH,
        drawing,
    )
