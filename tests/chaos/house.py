"""A whole installation of its own, started as ``make run`` starts it, and its processes to be struck at."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tests.e2e.installation import free_port, is_healthy, wait_until
from xrouter.home import read_pairs
from xrouter.services import SETTING_PREFIXES

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
# Seconds: until it is ready on a busy machine, and until it has ended.
START = 180
STOP = 120
# By what in its command line a process is known.
MARKS = {"web": "xrouter.web", "postgres": "postgres", "redis": "redis-server", "celery": "celery"}


@dataclass(frozen=True)
class House:
    """One installation. Its PostgreSQL is as durable as in production."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def database(self) -> str:
        return self._told("DATABASE_URL")

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def programs(self, name: str) -> list[psutil.Process]:
        """What supervisord runs under this name of MARKS now."""
        found = []
        for supervisord in psutil.Process(self.process.pid).children():
            for child in supervisord.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if any(MARKS[name] in Path(word).name for word in child.cmdline()):
                        found.append(child)
        return found

    def strike(self, process: psutil.Process, blow: signal.Signals) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(blow)

    def database_answers(self) -> bool:
        try:
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database, autocommit=True, connect_timeout=2, row_factory=dict_row) as door:
            cursor = door.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=surroundings(self.home, self.port),
            capture_output=True,
            text=True,
            check=False,
        )

    def journal(self) -> list[dict[str, Any]]:
        """What the twins saw and sent (docs/twins.md)."""
        url = f"http://127.0.0.1:{self._told('XROUTER_TWIN_PORT')}/__journal"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return [entry for entry in json.load(answer)["entries"] if entry["op"] == "chat"]

    def said(self, event: str) -> int:
        """How many lines of the web processes' logs tell of ``event``."""
        mark = json.dumps({"event": event})[1:-1]
        return sum(log.read_text(errors="replace").count(mark) for log in self.logs())

    def logs(self) -> list[Path]:
        return sorted((self.home / "logs").glob("web-*.log*"))

    def _told(self, name: str) -> str:
        return read_pairs(self.home / "environment")[name]


@contextmanager
def running() -> Iterator[House]:
    """The installation in a new home, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="xrouter-chaos-") as directory:
        home, port = Path(directory), free_port()
        with (home / "run.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "xrouter.run", "--leashed"],
                cwd=ROOT,
                env=surroundings(home, port),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        house = House(home, port, process)
        try:
            wait_until(lambda: process.poll() is not None or is_healthy(house.root), START, pause=0.2)
            if process.poll() is not None or not is_healthy(house.root):
                raise SystemExit(f"the installation did not start:\n{(home / 'run.log').read_text()}")
            yield house
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP)


def surroundings(home: Path, port: int) -> dict[str, str]:
    """What a stranger's shell has, and what we set."""
    ours = (*SETTING_PREFIXES, "DATABASE_URL", "REDIS_URL")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    told = {"XROUTER_HOME": str(home), "XROUTER_PORT": str(port), "XROUTER_WORKERS": str(WORKERS)}
    return {**plain, **told}


def now() -> float:
    """Unix seconds, as the twins' journal has them."""
    return time.time()
