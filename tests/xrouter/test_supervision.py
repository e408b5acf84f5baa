"""supervisord drives real processes here: small ones, that note when they start and stop."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from xrouter.errors import BrokenDown, CannotStart
from xrouter.home import Home, open_home
from xrouter.supervision import Program, Supervisor, end_leftovers, last_line, wait_until

# Writes its name at the start and the end: what is it called, where does it note.
NOTE = """
import signal, sys, time
note = lambda word: print(word, sys.argv[1], file=open(sys.argv[2], "a"), flush=True)
def end(*_):
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("begin")
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    # supervisord and shells give meaning to each of these.
    return open_home(tmp_path / "100% 'ours', \"both\"")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def program(home: Home, notes: Path) -> Callable[[str], Program]:
    script = home.path / "note.py"
    script.write_text(NOTE)
    return lambda name: Program(name, [sys.executable, str(script), name, str(notes)], home.path)


def has(notes: Path, *lines: str) -> Callable[[], bool]:
    return lambda: notes.exists() and notes.read_text().splitlines()[-len(lines) :] == list(lines)


def test_programs_stop_in_the_reverse_of_their_order(home: Home, notes: Path, program) -> None:
    with Supervisor(home.path, [program("first"), program("second")]) as supervisor:
        for name in ("first", "second"):
            supervisor.start(name)
            supervisor.wait_for(name, has(notes, f"begin {name}"), 10)

    assert notes.read_text().splitlines() == ["begin first", "begin second", "end second", "end first"]


def test_what_a_program_prints_is_in_its_log(home: Home, notes: Path, program) -> None:
    with Supervisor(home.path, [program("first")]) as supervisor:
        supervisor.start("first")
        wait_until(lambda: last_line(home.logs / "first.log") == "ready", 10)


def test_a_program_that_ends_at_once_is_told_with_its_last_words(home: Home) -> None:
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit('no such luck')"], home.path)

    with Supervisor(home.path, [broken]) as supervisor:
        supervisor.start("broken")
        with pytest.raises(CannotStart, match="broken does not start: no such luck"):
            supervisor.wait_for("broken", lambda: False, 10)


def test_the_last_words_of_postgres_are_its_complaint(tmp_path: Path) -> None:
    when = "2026-01-01 00:00:00.000 GMT [7]"
    lines = ["FATAL:  no such luck.", "DETAIL:  Lines 1 and 2.", "LOG:  database system is shut down"]
    (tmp_path / "log").write_text("".join(f"{when} {line}\n" for line in lines))

    assert last_line(tmp_path / "log") == f"{when} FATAL:  no such luck"


def test_a_crashed_program_is_started_again(home: Home, notes: Path, program) -> None:
    with Supervisor(home.path, [program("first")]) as supervisor:
        supervisor.start("first")
        supervisor.wait_for("first", has(notes, "begin first"), 10)
        supervisor_process = psutil.Process(int((home.path / "supervisord.pid").read_text()))

        supervisor_process.children()[0].kill()

        wait_until(has(notes, "begin first", "begin first"), 10)


def test_without_supervisord_nothing_is_left_and_we_hear_of_it(home: Home, notes: Path, program) -> None:
    with Supervisor(home.path, [program("first")]) as supervisor:
        supervisor.start("first")
        supervisor.wait_for("first", has(notes, "begin first"), 10)

        os.kill(int((home.path / "supervisord.pid").read_text()), signal.SIGKILL)

        wait_until(lambda: has_broken_down(supervisor), 10)
    assert has(notes, "end first")()


def has_broken_down(supervisor: Supervisor) -> bool:
    try:
        supervisor.watch()
    except BrokenDown:
        return True
    except OSError:  # its socket went first
        return False
    return False


def test_a_pid_used_by_another_program_is_not_ours_to_end(home: Home) -> None:
    (home.path / "processes").write_text(f"[[{os.getpid()}, 1.0]]")

    assert not end_leftovers(home.path, patience=0)
    assert not (home.path / "processes").exists()


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    home = open_home(tmp_path / ("long" * 30))

    with Supervisor(home.path, []):
        pass
