"""A whole XRouter beside the tests: its own database, twins of the providers, web servers with either door.

Everything is a real process and is spoken to over sockets; nothing is shared with the tests but the servers
of DATABASE_URL and REDIS_URL.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from accounts.keys import Kind, new_key
from tests.template import create, template

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
# Seconds for a program to answer after its start, on a busy machine, and for one to end.
START = 60
STOP = 15
BEGUN = b"Application startup complete"  # says each process of a web server
GRACE = 5  # seconds a web server gives to streams that are still open when it is told to stop


def wait_until(question: Callable[[], T], seconds: float = 5, pause: float = 0.02) -> T:
    """The first true answer to ``question``; its last answer once ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer


class Program:
    """A process with a log file. Its group is its own, so that workers go with it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        *,
        stdin: int | None = None,
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event, as objects."""
        lines = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def wait(self, is_ready: Callable[[], Any]) -> Self:
        """Wait until it answers. Raises RuntimeError with its last words if it does not."""
        wait_until(lambda: self._process.poll() is not None or is_ready(), START)
        if self._process.poll() is not None or not is_ready():
            raise RuntimeError(f"{self.name} did not start:\n{self.said()[-2000:]}")
        return self

    def kill(self) -> None:
        """Without a chance to end anything in order."""
        self._process.kill()
        self._process.wait(STOP)

    def end(self) -> None:
        """Tell it to stop."""
        self._process.terminate()

    def stop(self) -> None:
        self.end()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, 9)
            self._process.wait(STOP)


@dataclass(frozen=True)
class Twins:
    """One twins' process: its address and its control plane (docs/twins.md)."""

    program: Program
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return dict(json.load(answer))

    def journal(self, tag: str = "", family: str = "", op: str = "") -> list[dict[str, Any]]:
        """What the twins saw, oldest first."""
        entries = self.control("GET", f"/__journal?tag={tag}&family={family}")["entries"]
        return [entry for entry in entries if not op or entry["op"] == op]

    def connections(self) -> int:
        """How many are open, the control plane's own included."""
        open_ones = psutil.Process(self.program.pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED for one in open_ones)

    def order(self, kind: str, **how: Any) -> None:
        """Order a fault for the next chats: ``kind`` as in a prompt, ``stall.after=3`` and the like."""
        name, *arguments = re.split(r"\.(?=[a-z_]+=)", kind)
        args = dict(argument.split("=") for argument in arguments)
        self.control("POST", "/__fault", {"kind": name, "args": args, **how})

    def calm(self) -> None:
        """Forget all orders; one of them may strike this very connection."""

        def is_calm() -> bool:
            try:
                return not self.control("DELETE", "/__fault")["waiting"]
            except OSError:
                return False

        assert wait_until(is_calm)


@dataclass(frozen=True)
class Server:
    """One web server."""

    program: Program
    root: str

    @property
    def base_url(self) -> str:
        """What a client of the OpenAI SDK is pointed at."""
        return f"{self.root}/v1"

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.root)
        return str(parts.hostname), int(parts.port or 0)


@dataclass
class Installation:
    """A migrated database with the catalogue, and the programs that were started on it."""

    home: Path
    database: str
    redis: str
    programs: list[Program] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {"XROUTER_HOME": str(self.home), "DATABASE_URL": self.database, "REDIS_URL": self.redis}
        # A machine on which tests run side by side is full, which is what one file of them is about.
        quiet = {"PYTHONUNBUFFERED": "1", "XROUTER_FULL_AT": "1"}
        return {**os.environ, **ours, **quiet, **more}

    def manage(self, *words: str, **environment: str) -> str:
        """What ``manage.py`` prints."""
        return self.run(["manage.py", *words], **environment)

    def migrate(self) -> None:
        """Make the tables. Their rows have numbers of their own: Redis counts by them, and is shared."""
        if not template():
            self.manage("migrate", "-v0")
        first = secrets.randbelow(1 << 40)
        for table in ("accounts_client", "accounts_apikey", "providers_credential", "routing_endpoint"):
            self.query(f"ALTER TABLE {table} ALTER id RESTART WITH {first}")

    def run(self, words: Sequence[str], **environment: str) -> str:
        """What a Python program prints. Raises AssertionError with its complaint if it fails."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout

    def start(
        self, name: str, command: Sequence[str], *, stdin: int | None = None, **environment: str
    ) -> Program:
        surroundings = self.environment(**environment)
        program = Program(name, [sys.executable, *command], surroundings, self.home, stdin=stdin)
        self.programs.append(program)
        return program

    def start_twins(self, name: str, *options: str) -> Twins:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        program = self.start(name, ["-m", "providers.twins", "--port", str(port), *options])
        return Twins(program.wait(lambda: is_healthy(url)), url)

    def start_web(self, name: str, *, workers: int = 1, **environment: str) -> Server:
        port = free_port()
        root = f"http://127.0.0.1:{port}"
        command = [
            *("-m", "uvicorn", "xrouter.asgi:application", "--port", str(port), "--workers", str(workers)),
            *("--loop", "uvloop", "--http", "httptools", "--lifespan", "on", "--no-access-log"),
            *("--no-server-header", "--no-proxy-headers", "--timeout-graceful-shutdown", str(GRACE)),
        ]
        log = self.home / f"{name}.log"
        before = log.stat().st_size if log.exists() else 0  # of a server of this name that is no more
        program = self.start(name, command, **environment)

        def is_ready() -> bool:
            return log.read_bytes()[before:].count(BEGUN) >= workers and is_healthy(root)

        return Server(program.wait(is_ready), root)

    def start_as_in_production(self, name: str, **environment: str) -> Server:
        """One web process that reads HTTP as ``make run`` has it."""
        port = free_port()
        root = f"http://127.0.0.1:{port}"
        with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
            program = self.start(name, ["-m", "xrouter.web"], stdin=listener.fileno(), **environment)
        return Server(program.wait(lambda: is_healthy(root)), root)

    def stop(self) -> None:
        """All at once: nobody waits for another's connections to end."""
        for program in reversed(self.programs):
            program.end()
        for program in reversed(self.programs):
            program.stop()

    # --- The database, as an operator changes it ---------------------------------------------------

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of one statement, committed at once."""
        with psycopg.connect(self.database, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    def issue_key(self, client: str, kind: Kind = Kind.LIVE, **columns: Any) -> str:
        """A new key of an existing client, with any column set. Returns its plaintext."""
        key = new_key(kind)
        row = {
            "label": "тест",
            "kind": kind,
            "prefix": key.prefix,
            "digest": key.digest,
            "allowed_models": [],
            "allowed_addresses": [],
            "routing": "{}",
            "created_at": datetime.now().astimezone(),
            **columns,
        }
        statement = sql.SQL(
            "INSERT INTO accounts_apikey (client_id, {}) SELECT id, {} FROM accounts_client WHERE name = %s"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join([sql.Placeholder()] * len(row))
        )
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(statement, (*row.values(), client))
        return key.plaintext

    def generation(self, name: str, seconds: float = 3) -> dict[str, Any]:
        """The record of one request by the id customers see, ``gen-…``."""
        ask = "SELECT * FROM billing_generation WHERE id = %s"
        rows = wait_until(lambda: self.query(ask, name.removeprefix("gen-")), seconds)
        assert len(rows) == 1, f"{len(rows)} records of {name}"
        return rows[0]

    def generation_of(self, client_request_id: str, seconds: float = 3) -> dict[str, Any]:
        """The record of a request whose answer never came, by the id the client gave it."""
        ask = "SELECT * FROM billing_generation WHERE client_request_id = %s"
        rows = wait_until(lambda: self.query(ask, client_request_id), seconds)
        assert len(rows) == 1, f"{len(rows)} records of {client_request_id}"
        return rows[0]


@contextmanager
def installed(home: Path) -> Any:
    """An installation in a new database; at the end its programs are stopped and the database is dropped."""
    given = os.environ["DATABASE_URL"]
    name = f"xrouter_e2e_{secrets.token_hex(4)}"
    database = urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
    create(database)
    with psycopg.connect(given, autocommit=True) as connection:
        installation = Installation(home, database, os.environ["REDIS_URL"])
        try:
            yield installation
        finally:
            installation.stop()
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def migrated(home: Path) -> Any:
    """An installation whose database has its tables."""
    with installed(home) as installation:
        installation.migrate()
        yield installation


def leaked(twins: Twins, needles: list[str]) -> list[dict[str, Any]]:
    """The requests to the twins in which one of the needles is; other tests look for needles of their own."""
    twins.control("POST", "/__canary", {"needles": needles})
    return [leak for leak in twins.control("GET", "/__canary")["leaks"] if leak["needle"] in needles]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_healthy(root: str) -> bool:
    try:
        with urllib.request.urlopen(f"{root}/healthz", timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
