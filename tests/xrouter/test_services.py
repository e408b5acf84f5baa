"""The servers lent to a command: real ones, gone afterwards whatever happened."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from xrouter.errors import CannotStart
from xrouter.services import Postgres, _let_pass, _redis_version
from xrouter.supervision import wait_until

ROOT = Path(__file__).parent.parent.parent
LEND = [sys.executable, "-m", "xrouter.services"]
USE_BOTH = """
import os, psycopg, redis
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    query = "SELECT lower('Ж') = 'ж', current_setting('server_version_num')"
    print(connection.execute(query).fetchone())
print(redis.Redis.from_url(os.environ["REDIS_URL"]).set("a", "b"))
print(os.environ["XROUTER_HOME"])
raise SystemExit(7)
"""
ASK_WITH_A_WRONG_PASSWORD = """
import os, pathlib, urllib.parse
from xrouter.errors import CannotStart
from xrouter.services import Postgres, Redis
for kind, variable in ((Postgres, "DATABASE_URL"), (Redis, "REDIS_URL")):
    port = urllib.parse.urlsplit(os.environ[variable]).port
    try:
        kind(pathlib.Path("home"), port, "wrong").answers()
    except CannotStart as exc:
        print(exc)
"""
STRANGER = pwd.struct_passwd(("stranger", "x", 54321, 54321, "", "/", "/bin/false"))


def lend(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LEND, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_gets_both_servers_and_gives_its_exit_code_and_nothing_stays() -> None:
    done = lend("--", sys.executable, "-c", USE_BOTH)

    row, was_set, home = done.stdout.splitlines()
    assert row.startswith("(True, '18")
    assert was_set == "True"
    assert done.returncode == 7
    assert not Path(home).exists()


def test_a_command_sees_nothing_of_another_installation_or_real_providers() -> None:
    done = lend("--", "env", XROUTER_PORT="9", GIGACHAT_CREDENTIALS="real", DATABASE_URL="postgres://real")

    assert "postgres://real" not in done.stdout
    assert "GIGACHAT_CREDENTIALS" not in done.stdout
    assert "XROUTER_PORT" not in done.stdout


def test_waiting_ends_at_once_for_a_server_that_refuses_our_password(tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK_WITH_A_WRONG_PASSWORD)

    done = lend("--", sys.executable, str(tmp_path / "ask.py"), PYTHONPATH=str(ROOT))

    of_postgres, of_redis = done.stdout.splitlines()
    assert of_postgres.startswith("PostgreSQL refuses XROUTER_POSTGRES_PASSWORD, ")
    assert of_redis.startswith("The Redis server at port ")


@pytest.mark.parametrize("file", ["PG_VERSION", "postgresql.conf"])
def test_a_data_directory_without_its_version_is_left_as_it_is(tmp_path: Path, file: str) -> None:
    directory = tmp_path / "postgres"
    directory.mkdir()
    (directory / file).touch()

    with pytest.raises(CannotStart, match="postgres is damaged, for its file PG_VERSION is lost"):
        Postgres(directory, 1, "password").prepare()

    assert list(tmp_path.rglob("*")) == [directory, directory / file]


def test_a_data_directory_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()

    with pytest.raises(CannotStart, match=r"PostgreSQL cannot be set up: .* password"):
        Postgres(tmp_path / "postgres", 1, password="").prepare()

    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_it_says_how_it_is_used() -> None:
    done = lend("pytest")

    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_killed_it_leaves_no_server_running() -> None:
    command = ["sh", "-c", "echo $XROUTER_HOME; sleep 60"]
    lender = subprocess.Popen([*LEND, "--", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    home = lender.stdout.readline().strip() if lender.stdout else ""
    everything = psutil.Process(lender.pid).children(recursive=True)
    servers = [process for process in everything if process.name() not in {"sh", "sleep"}]

    lender.send_signal(signal.SIGKILL)

    assert len(servers) > 2
    wait_until(lambda: not any(process.is_running() for process in servers), 30)
    lender.wait()
    for process in set(everything) - set(servers):
        process.kill()
    shutil.rmtree(home)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269", (6, 2, 14)),
        ("Redis server v=7.0.0 sha=0", (7, 0, 0)),
        ("something else", ()),
    ],
)
def test_the_version_of_a_redis_is_what_it_says(tmp_path: Path, said: str, version: tuple[int, ...]) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\necho '{said}'\n")
    binary.chmod(0o755)

    assert _redis_version(str(binary)) == version


def test_a_binary_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert _redis_version(str(tmp_path / "nothing")) == ()


def test_another_user_gets_passage_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "closed" / "inner").chmod(0o755)

    notes = _let_pass(STRANGER, [tmp_path / "closed" / "inner"])

    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o701
    assert (tmp_path / "closed" / "inner").stat().st_mode & 0o777 == 0o755
    assert f"Gave the user stranger, who runs PostgreSQL, passage through {tmp_path / 'closed'}" in notes
