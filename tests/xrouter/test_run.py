"""`make run` from outside: one real installation, started, used, and stopped."""

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from xrouter.celery import LOWER
from xrouter.errors import CannotStart
from xrouter.home import read_pairs
from xrouter.run import read_options
from xrouter.services import SETTING_PREFIXES
from xrouter.supervision import wait_until

ROOT = Path(__file__).parent.parent.parent
RUN = [sys.executable, "-m", "xrouter.run"]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def surroundings(home: Path, **environment: str) -> dict[str, str]:
    """What a stranger's shell has, and what the test sets."""
    others = (*SETTING_PREFIXES, "DATABASE_URL", "REDIS_URL")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {
        **plain,
        "XROUTER_HOME": str(home),
        "XROUTER_PORT": free_port(),
        "XROUTER_WORKERS": "1",
        **environment,
    }


def run_to_its_end(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        RUN,
        cwd=ROOT,
        env=surroundings(home, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass
class Installation:
    process: subprocess.Popen[str]
    home: Path
    environment: dict[str, str]
    screen: str

    def programs(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


def command_line(program: psutil.Process) -> list[str]:
    try:
        return program.cmdline()
    except psutil.NoSuchProcess:
        return []


def install(home: Path) -> Installation:
    environment = surroundings(home)
    process = subprocess.Popen(
        RUN, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if line.startswith("Ctrl-C stops"):
            break
    return Installation(process, home, environment, "".join(lines))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    running = install(tmp_path_factory.mktemp("run") / "home")
    yield running
    if running.process.poll() is None:
        running.stop()


def test_it_becomes_ready(installation: Installation) -> None:
    assert "XRouter is ready." in installation.screen, installation.screen


def asked(installation: Installation) -> str:
    """What comes when the screen's curl line is pasted."""
    pasted = installation.screen[installation.screen.index("curl ") :].split("\n\n")[0]
    command = ["sh", "-c", f"{pasted} --silent"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def figures(installation: Installation) -> str:
    address = f"http://127.0.0.1:{installation.environment['XROUTER_PORT']}/metrics"
    return subprocess.run(["curl", "-sf", address], capture_output=True, text=True, check=True).stdout


def test_the_screen_shows_a_curl_line_that_works_when_pasted(installation: Installation) -> None:
    assert json.loads(asked(installation))["choices"][0]["message"]["content"]


def test_figures_of_what_was_asked_are_shown(installation: Installation) -> None:
    asked(installation)

    assert 'xrouter_requests_total{error="",model="gigachat/pro",status="2xx",' in figures(installation)


def test_scripts_of_pages_come_packed_to_whoever_takes_them_so(installation: Installation) -> None:
    address = f"http://127.0.0.1:{installation.environment['XROUTER_PORT']}/static/pages/chart.js"

    plain, packed = (
        subprocess.run(["curl", "-sfi", *how, address], capture_output=True, check=True).stdout
        for how in ([], ["-H", "Accept-Encoding: gzip"])
    )

    assert b"content-encoding: gzip" in packed.lower()
    assert len(packed) < len(plain) / 2


def test_the_screen_names_the_providers_that_are_simulated(installation: Installation) -> None:
    line = next(line for line in installation.screen.splitlines() if "simulated" in line)

    assert all(name in line for name in ("GigaChat", "YandexGPT", "MTS AI", "GEN-T"))


def test_other_users_can_read_nothing(installation: Installation) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in installation.home.iterdir()}

    # Root lets the user who runs PostgreSQL pass through the state directory itself.
    assert stat.S_IMODE(installation.home.stat().st_mode) & 0o066 == 0
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_no_secret_is_on_a_command_line(installation: Installation) -> None:
    told = read_pairs(installation.home / "environment")
    secrets = [value for name, value in told.items() if name.endswith(("_KEY", "_KEYS", "_PASSWORD"))]
    command_lines = [shlex.join(command_line(program)) for program in installation.programs()]

    assert len(secrets) == 4
    assert not [line for line in command_lines if any(secret in line for secret in secrets)]


def test_manage_py_talks_to_it_from_another_shell(installation: Installation) -> None:
    only_home = {"PATH": os.environ["PATH"], "XROUTER_HOME": str(installation.home)}
    command = [sys.executable, "manage.py", "create_key", "--client", "Новый", "--label", "l", "--json"]

    done = subprocess.run(command, cwd=ROOT, env=only_home, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["key"].startswith("xr-live-")


def test_a_second_start_in_the_same_home_is_refused(installation: Installation) -> None:
    done = run_to_its_end(installation.home)

    assert done.returncode == 1
    assert re.fullmatch(r"XRouter cannot start: XRouter is already running in .*\n", done.stderr)


def test_a_port_in_use_is_refused(installation: Installation, tmp_path: Path) -> None:
    port = installation.environment["XROUTER_PORT"]

    done = run_to_its_end(tmp_path / "home", XROUTER_PORT=port)

    assert done.returncode == 1
    assert done.stderr.startswith(f"XRouter cannot start: Port {port} of 127.0.0.1 is in use; ")


def test_requests_go_before_the_workers_tasks(installation: Installation) -> None:
    def niceness(of: str) -> set[int]:
        return {program.nice() for program in installation.programs() if of in command_line(program)}

    (web,) = niceness("xrouter.web")
    assert niceness("worker") == {web + LOWER}


def test_a_killed_web_process_is_started_again(installation: Installation) -> None:
    def web() -> list[psutil.Process]:
        return [program for program in installation.programs() if "xrouter.web" in command_line(program)]

    (before,) = web()

    before.kill()

    wait_until(lambda: [program for program in web() if program != before] != [], 10)


def test_it_stops_in_order_and_leaves_nothing_running_and_starts_again_with_the_same_key(
    installation: Installation,
) -> None:
    asked(installation)
    programs = installation.programs()
    key = read_pairs(installation.home / "logins")["api_key"]

    code = installation.stop()

    assert code == 0
    assert not any(program.is_running() for program in programs)
    again = install(installation.home)
    assert key in again.screen
    assert "xrouter_requests_total{" not in figures(again)
    assert again.stop() == 0


def test_killed_it_leaves_nothing_running(installation: Installation) -> None:
    if installation.process.poll() is None:
        installation.stop()
    running = install(installation.home)
    programs = running.programs()

    running.process.kill()

    running.process.wait()
    assert programs
    wait_until(lambda: not any(program.is_running() for program in programs), 30)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("DATABASE_URL", "postgres://a:secret@127.0.0.1:1/x", "DATABASE_URL does not lead to a database: "),
        ("DATABASE_URL", "mysql://a:secret@127.0.0.1:1/x", "DATABASE_URL has to begin with postgres:// "),
        ("XROUTER_HOST", "no.such.host.invalid", "XROUTER_HOST is «no.such.host.invalid», which is no "),
        ("XROUTER_HOME", "/dev/null", "XROUTER_HOME is /dev/null, which is not a directory."),
        ("XROUTER_HOME", "/dev/null/below", "The state directory /dev/null/below cannot be written: "),
    ],
)
def test_what_cannot_work_is_told_in_one_sentence(
    tmp_path: Path, variable: str, value: str, sentence: str
) -> None:
    done = run_to_its_end(tmp_path / "home", **{variable: value})

    assert done.returncode == 1
    assert done.stderr.startswith(f"XRouter cannot start: {sentence}")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XROUTER_PORT", "http"),
        ("XROUTER_PORT", "0"),
        ("XROUTER_PORT", "65536"),
        ("XROUTER_PORT", "-1"),
        ("XROUTER_PORT", "²"),
        ("XROUTER_WORKERS", "0"),
        ("XROUTER_WORKERS", "two"),
        ("XROUTER_TWINS", "on"),
        ("REDIS_URL", "127.0.0.1:6379"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(CannotStart, match=variable):
        read_options({variable: value})


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read_options({"XROUTER_PORT": "", "XROUTER_HOST": "", "XROUTER_TWINS": ""}) == read_options({})
