"""A line as small as a word. Pure: numbers in, SVG out."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 120, 24


def sparkline(values: Sequence[float | None], told: str) -> SafeString:
    """``values`` from left to right, None for a gap; ``told`` says it in words. Without values empty."""
    known = [value for value in values if value is not None]
    if not known:
        return SafeString("")
    return format_html(
        '<svg role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}"><title>{}</title>'
        '<path d="{}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/></svg>',
        *(told, WIDTH, HEIGHT, WIDTH, HEIGHT, told),
        _path(values, max(known) or 1),
    )


def _path(values: Sequence[float | None], highest: float) -> str:
    """Neighbours are joined; one that stands alone is a dot."""
    step = (WIDTH - 4) / max(len(values) - 1, 1)
    parts, is_drawing = [], False
    for place, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        x, y = 2 + place * step, HEIGHT - 2 - value / highest * (HEIGHT - 4)
        parts.append(f"L{x:.1f} {y:.1f}" if is_drawing else f"M{x:.1f} {y:.1f}h.01")
        is_drawing = True
    return "".join(parts)
