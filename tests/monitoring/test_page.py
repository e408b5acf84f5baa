"""The page says what the library's own collector would say of the same files."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from monitoring.page import KINDS, rendered

ROOT = Path(__file__).parents[2]
COUNT = r"""
import sys, time
from pathlib import Path
from monitoring import sharing
sharing.begin(Path(sys.argv[1]))
amount = int(sys.argv[2])
from prometheus_client import Counter, Gauge, Histogram
odd = Counter("odd", 'with "quotes", a \\ and\nanother line', ["b", "a"])
for text in ("plain", "", 'say "hi"', "back\\slash", "two\nlines", "brace}", "кириллица"):
    odd.labels(text, "x").inc(amount / 3)
Counter("never", "x")
for mode in ("sum", "max", "min"):
    Gauge(f"g_{mode}", "x", ["a"], multiprocess_mode=f"live{mode}").labels("x").set(amount)
Gauge("g_recent", "x", multiprocess_mode="livemostrecent").set(amount)
bare = Histogram("bare_seconds", "x")
labelled = Histogram("odd_seconds", "x", ["a", "b"], buckets=[0.5, 2, 1e6])
for value in (0.001, 1, 2, 5e5, 1e9):
    bare.observe(value * amount)
    labelled.labels('x"}', "y").observe(value * amount)
print("ready", flush=True)
sys.stdin.read()
"""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> dict[tuple[str, str, str], Samples]:
    """By name, kind and meaning of the family."""
    return {
        (family.name, family.type, family.documentation): {
            (sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory):
    """With the files of two processes, of which the second counts more and comes later."""
    path = tmp_path_factory.mktemp("metrics")
    processes = []
    for amount in ("1", "7"):
        command = [sys.executable, "-c", COUNT, str(path), amount]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout.readline() == b"ready\n"
    yield path
    for process in processes:
        process.communicate()


def test_it_says_what_the_library_says(directory):
    collected = MultiProcessCollector(None, str(directory)).collect()
    library = {
        (family.name, family.type, family.documentation): {
            (sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples
        }
        for family in collected
    }

    ours = samples(rendered(directory.glob("*.db")).decode())

    assert len(library) == 8
    assert ours == library


def test_figures_of_several_processes_become_one_as_their_kind_wants(directory):
    page = rendered(directory.glob("*.db")).decode().splitlines()

    assert {'g_sum{a="x"} 8.0', 'g_max{a="x"} 7.0', 'g_min{a="x"} 1.0', "g_recent 7.0"} <= set(page)


def test_buckets_come_in_order_and_their_count_is_the_last(directory):
    lines = rendered(directory.glob("*.db")).decode().splitlines()
    odd = [line.rpartition("}")[2] for line in lines if line.startswith(("odd_seconds_b", "odd_seconds_c"))]

    counts = [float(count) for count in odd]
    assert counts == sorted(counts)
    assert counts[-2:] == [10, 10]


def test_there_may_be_nothing():
    assert rendered([]) == b""


def test_a_file_that_has_gone_meanwhile_is_left_out(tmp_path):
    assert rendered([tmp_path / f"{kind}_1.db" for kind in KINDS]) == b""
