"""What several processes counted, added up and written for Prometheus.

The library's collector takes some 10 µs for each series of each process, on the interpreter that also serves
requests; this takes two: whatever is the same in every page is worked out once.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.utils import floatToGoString

# A figure and, where it counts, when it was set.
Reading = tuple[float, float]
Merge = Callable[[Reading, Reading], Reading]


def _sum(one: Reading, other: Reading) -> Reading:
    return one[0] + other[0], 0.0


def _latest(one: Reading, other: Reading) -> Reading:
    return max(one, other, key=itemgetter(1))


# How figures of several processes become one, by the kind of their files.
KINDS: dict[str, Merge] = {
    "counter": _sum,
    "histogram": _sum,
    "gauge_livesum": _sum,
    "gauge_livemax": max,
    "gauge_livemin": min,
    "gauge_livemostrecent": _latest,
}


class Line(NamedTuple):
    """What is known of a series by its key."""

    family: str
    head: str  # HELP and TYPE of the family
    text: str  # the name and the labels; of a bucket without its edge
    edge: float | None = None  # of a bucket


def rendered(files: Iterable[Path]) -> bytes:
    """The page. Blocks."""
    series = sorted(
        ((_line(kind, key), value) for kind, figures in _merged(files).items() for key, value in figures),
        key=lambda each: each[0].family,
    )
    families: dict[str, list[tuple[Line, float]]] = defaultdict(list)
    for line, value in series:
        families[line.family].append((line, value))
    return "".join(text for lines in families.values() for text in _family(lines)).encode()


def _merged(files: Iterable[Path]) -> dict[str, list[tuple[str, float]]]:
    merged: dict[str, dict[str, Reading]] = {kind: {} for kind in KINDS}
    for path in files:
        kind = path.name.rpartition("_")[0]
        merge, figures = KINDS[kind], merged[kind]
        with suppress(FileNotFoundError):  # of a process that has died this very moment
            for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(path):
                known = figures.get(key)
                figures[key] = (value, timestamp) if known is None else merge(known, (value, timestamp))
    return {kind: [(key, value) for key, (value, _) in figures.items()] for kind, figures in merged.items()}


def _family(lines: list[tuple[Line, float]]) -> Iterable[str]:
    yield lines[0][0].head
    buckets: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line, value in lines:
        if line.edge is None:
            yield f"{line.text} {floatToGoString(value)}\n"
        else:
            buckets[line.text].append((line.edge, value))
    for text, counts in buckets.items():
        yield from _histogram(text, sorted(counts))


def _histogram(text: str, counts: list[tuple[float, float]]) -> Iterable[str]:
    """Each bucket with all that is in smaller ones, and how many there are in all."""
    name, _, labels = text.partition("{")
    opening = f"{name}_bucket{{{labels.rstrip('}')}{',' if labels else ''}"
    total = 0.0
    for (edge, _), total in zip(counts, accumulate(count for _, count in counts), strict=True):
        yield f'{opening}le="{floatToGoString(edge)}"}} {floatToGoString(total)}\n'
    yield f"{name}_count{text[len(name) :]} {floatToGoString(total)}\n"


# As many as there can be series of ours, nearly: see MOST in metrics.py.
@lru_cache(maxsize=20_000)
def _line(kind: str, key: str) -> Line:
    """``key``: see ``mmap_key``."""
    family, name, labels, meaning = json.loads(key)
    typ = kind.partition("_")[0]
    shown = f"{family}_total" if typ == "counter" else family
    meaning = meaning.replace("\\", r"\\").replace("\n", r"\n")
    head = f"# HELP {shown} {meaning}\n# TYPE {shown} {typ}\n"
    edge = labels.pop("le", None)
    if edge is not None:
        return Line(family, head, family + _braced(labels), float(edge))
    return Line(family, head, name + _braced(labels))


def _braced(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
