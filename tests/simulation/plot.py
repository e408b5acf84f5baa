"""Shares over a day as stacked areas, one panel for each strategy: an SVG that reads in light and dark."""

from collections.abc import Sequence
from html import escape

from tests.simulation.day import Result
from tests.simulation.weather import DAY, EVENTS, HOUR, PROVIDERS, Event

WIDTH, HEIGHT, GAP, LEFT, TOP = 330, 110, 34, 34, 52
COLUMNS = 2
SLOTS = int(DAY / (HOUR / 2))
# From the colours that people tell apart who do not see red and green (Paul Tol's).
COLOURS = ("#4477aa", "#66ccee", "#ccbb44", "#ee6677")
STYLE = (
    "text{fill:#24292f;font:11px system-ui,sans-serif}.n{font-weight:600;font-size:12px}"
    ".e{fill:none;stroke:#24292f;stroke-dasharray:3 2}.f{fill:none;stroke:#8a8f99}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.e{stroke:#e6edf3}.f{stroke:#6e7681}}"
)


def plot(results: Sequence[tuple[str, Result]]) -> str:
    rows = -(-len(results) // COLUMNS)
    width = LEFT + COLUMNS * (WIDTH + GAP)
    height = TOP + rows * (HEIGHT + GAP + 8)
    panels = [
        _panel(name, result, LEFT + n % COLUMNS * (WIDTH + GAP), TOP + n // COLUMNS * (HEIGHT + GAP + 8))
        for n, (name, result) in enumerate(results)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Shares of four providers over a day">\n<style>{STYLE}</style>\n'
        + "\n".join([_legend(), *panels])
        + "\n</svg>\n"
    )


def _legend() -> str:
    parts = [
        f'<rect x="{LEFT + 66 * n}" y="8" width="11" height="11" fill="{colour}"/>'
        f'<text x="{LEFT + 66 * n + 16}" y="18">{provider.slug}</text>'
        for n, (provider, colour) in enumerate(zip(PROVIDERS, COLOURS, strict=True))
    ]
    told = "; ".join(f"{n} {event.said}" for n, event in enumerate(EVENTS, 1))
    return "".join(parts) + f'<text x="{LEFT + 290}" y="18">{escape(told)}</text>'


def _panel(name: str, result: Result, left: float, top: float) -> str:
    bottoms = [0.0] * SLOTS
    areas = []
    for provider, colour in zip(PROVIDERS, COLOURS, strict=True):
        tops = [b + _share(result, slot, provider.slug) for slot, b in enumerate(bottoms)]
        areas.append(f'<path d="{_area(bottoms, tops, left, top)}" fill="{colour}" fill-opacity=".85"/>')
        bottoms = tops
    frame = f'<rect class="f" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}"/>'
    title = f'<text class="n" x="{left}" y="{top - 16}">{escape(name)}</text>'
    hours = "".join(
        f'<text x="{left + WIDTH * hour / 24:.0f}" y="{top + HEIGHT + 13}" text-anchor="middle">{hour}</text>'
        for hour in range(0, 25, 6)
    )
    marks = "".join(_mark(n, event, left, top) for n, event in enumerate(EVENTS, 1))
    return title + "".join(areas) + frame + hours + marks


def _share(result: Result, slot: int, slug: str) -> float:
    total = sum(result.by_time[slot, provider.slug] for provider in PROVIDERS)
    return result.by_time[slot, slug] / total if total else 0.0


def _area(bottoms: list[float], tops: list[float], left: float, top: float) -> str:
    """Steps, as shares are counted by half hours."""
    step = WIDTH / SLOTS
    there = [(left + step * (n + 1), top + HEIGHT * (1 - y)) for n, y in enumerate(tops)]
    back = [(left + step * n, top + HEIGHT * (1 - y)) for n, y in enumerate(bottoms)]
    steps = "".join(f"V{y:.1f}H{x:.1f}" for x, y in [*there, *reversed(back)])
    return f"M{left} {there[0][1]:.1f}{steps}Z"


def _mark(number: int, event: Event, left: float, top: float) -> str:
    begin, end = left + WIDTH * event.begin / DAY, left + WIDTH * event.end / DAY
    lines = "".join(f'<path class="e" d="M{x:.1f} {top}v{HEIGHT}"/>' for x in sorted({begin, end}))
    return lines + f'<text x="{begin:.1f}" y="{top - 3}" text-anchor="middle">{number}</text>'
