"""Our processes under supervisord: one configuration file, one Unix socket, one orderly end."""

import contextlib
import ctypes
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from supervisor.xmlrpc import SupervisorTransport

from xrouter.errors import BrokenDown, CannotStart

# sun_path holds 107 bytes; supervisord binds "<name>.<its pid>" first.
LONGEST_SOCKET_PATH = 107 - len(".4194304")
# A web process spends two descriptors on a stream.
OPEN_FILES = 20_000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
# Seconds supervisord itself may add to what its processes take to stop.
MARGIN = 10

# What PostgreSQL and its initdb add to a complaint, and what they say after the last one.
ASIDE = re.compile(
    r"\] (DETAIL|HINT|CONTEXT|STATEMENT): |database system is shut down|^initdb: (detail:|hint:|removing) "
)

SUPERVISORD = """\
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
silent=true
logfile={directory}/logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=3
pidfile={directory}/supervisord.pid
childlogdir={directory}/logs
minfds={open_files}
minprocs=1
umask=077
{user}
"""

PROGRAM = """\
[{kind}:{name}]
command={command}
directory={directory}
priority={priority}
autostart=false
autorestart=true
startsecs=5
startretries=5
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
{more}
"""


@dataclass(frozen=True)
class Program:
    """One thing to keep running. Programs start in the order given and stop in the reverse."""

    name: str
    command: Sequence[str]
    directory: Path
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    user: str | None = None  # only root may name another
    # Several equal processes that accept from one socket, which each finds as its descriptor 0.
    processes: int = 1
    listen: tuple[str, int] | None = None

    @property
    def first_process(self) -> str:
        """Its process, or the first of several, as logs have it."""
        return f"{self.name}-0" if self.listen else self.name


class Supervisor:
    """supervisord as a child in a session of its own, so that Ctrl-C is ours to pass on.

    Leaving the ``with`` block stops everything in order. If this process dies first, the kernel tells
    supervisord, which does the same; if both die, ``end_leftovers`` of the next start does.
    """

    def __init__(self, directory: Path, programs: Sequence[Program]) -> None:
        self.directory = directory
        self.programs = {program.name: program for program in programs}
        self._sockets = _socket_directory(directory)
        self._socket = self._sockets / "supervisor.sock"
        self._child: subprocess.Popen[bytes] | None = None
        self._processes: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            self._launch()
        except BaseException:
            self._stop()
            raise
        return self

    def _launch(self) -> None:
        configuration = self.directory / "supervisord.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        complaints = self.directory / "logs" / "supervisord.out"
        with complaints.open("wb") as output:
            self._child = subprocess.Popen(  # noqa: S603 (our own words)
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 (there is one thread)
            )
        try:
            wait_until(self._answers, 10)
        except TimeoutError as exc:
            raise CannotStart(f"supervisord does not start, see {complaints}.") from exc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def start(self, name: str) -> None:
        """Start a program; ``wait_for`` tells when it answers."""
        self._call("startProcessGroup", name, False)
        self._remember()

    def wait_for(self, name: str, answers: Callable[[], bool], seconds: float) -> None:
        """Wait until the program ``answers``. Raises CannotStart with its last words if it gives up."""

        def settled() -> bool:
            return self._gave_up(name) or answers()

        with contextlib.suppress(TimeoutError):
            wait_until(settled, seconds)
        if self._gave_up(name) or not answers():
            log = self._log(self.programs[name].first_process)
            raise CannotStart(f"{name} does not start: {last_line(log)} (more in {log}).")

    def watch(self) -> list[str]:
        """Revive who gave up. Returns a sentence on each. Raises BrokenDown if supervisord is gone."""
        if self._child is None or self._child.poll() is not None:
            raise BrokenDown(f"supervisord was killed; see {self.directory}/logs/supervisord.log.")
        self._remember()
        failed = [process for process in self._processes if process["statename"] == "FATAL"]
        for process in failed:
            with contextlib.suppress(xmlrpc.client.Fault):  # it fails again: said below
                self._call("startProcess", f"{process['group']}:{process['name']}", False)
        return [f"{p['name']} keeps failing: {last_line(self._log(p['name']))}" for p in failed]

    def hasten(self) -> None:
        """Drain no longer: tell the web processes a second time."""
        for process in self._processes:
            if process["group"] == "web" and process["pid"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process["pid"], signal.SIGINT)

    def _stop(self) -> None:
        """Stop everything in reverse order and wait for it, with force once the time is over."""
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(sum(program.stop_seconds for program in self.programs.values()) + MARGIN)
        end_leftovers(self.directory, patience=MARGIN)
        if self._sockets != self.directory:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _answers(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            raise TimeoutError
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def _gave_up(self, name: str) -> bool:
        processes = self._call("getAllProcessInfo")
        return any(p["group"] == name and p["statename"] in {"FATAL", "BACKOFF", "EXITED"} for p in processes)

    def _log(self, process: str) -> Path:
        return self.directory / "logs" / f"{process}.log"

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _remember(self) -> None:
        """Note on disk which processes are ours, for the day when nobody is left to stop them."""
        self._processes = self._call("getAllProcessInfo")
        pids = [self._child.pid] if self._child else []
        pids += [process["pid"] for process in self._processes if process["pid"]]
        _write_if_new(self.directory / "processes", json.dumps([_identity(pid) for pid in pids]))

    def _configuration(self) -> str:
        sections = [
            SUPERVISORD.format(
                socket=_plain(self._socket),
                directory=_plain(self.directory),
                open_files=min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
                user="user=root" if os.geteuid() == 0 else "",
            )
        ]
        sections += [
            _section(program, priority, self.directory / "logs")
            for priority, program in enumerate(self.programs.values(), start=1)
        ]
        return "".join(sections)


def _section(program: Program, priority: int, logs: Path) -> str:
    more = [f"user={program.user}"] if program.user else []
    logs_twice_plain = _plain(_plain(logs))  # of this one value supervisord expands the expansion, too
    log = f"{logs_twice_plain}/{program.name}.log"
    if program.listen:
        host, port = program.listen
        more += [f"socket=tcp://{host}:{port}", f"numprocs={program.processes}", "socket_backlog=2048"]
        more += ["process_name=%(program_name)s-%(process_num)d"]
        log = f"{logs_twice_plain}/{program.name}-%(process_num)d.log"
    return PROGRAM.format(
        kind="fcgi-program" if program.listen else "program",
        name=program.name,
        command=_plain(shlex.join(program.command)),
        directory=_plain(program.directory),
        priority=priority,
        stop_signal=program.stop_signal,
        stop_seconds=program.stop_seconds,
        log=log,
        more="\n".join(more),
    )


def _plain(value: object) -> str:
    """supervisord expands ``%(name)s`` in every value."""
    return str(value).replace("%", "%%")


def _socket_directory(directory: Path) -> Path:
    """Where a Unix socket's path is short enough: the state directory, else a new private one."""
    if len(os.fsencode(directory / "supervisor.sock")) <= LONGEST_SOCKET_PATH:
        return directory
    return Path(tempfile.mkdtemp(prefix="xrouter-"))


def end_with_parent() -> None:
    """Let this process get SIGTERM when its parent dies, even by SIGKILL (Linux only)."""
    if sys.platform.startswith("linux"):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_leftovers(directory: Path, patience: float) -> bool:
    """End what an earlier start left running in this home; was there any?

    ``patience``: seconds a supervisord that is shutting down may still take before force is used.
    """
    record = directory / "processes"
    try:
        supervisord, *programs = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return False
    found = _end(_alive([supervisord]), patience) + _end(_alive(programs), MARGIN)
    record.unlink()
    return found > 0


def _end(processes: list[psutil.Process], patience: float) -> int:
    """Ask, then force. The last started goes first: it relies on the others. Returns how many there were."""
    rest = processes
    for step in (psutil.Process.terminate, psutil.Process.kill):
        for process in reversed(rest):
            with contextlib.suppress(psutil.NoSuchProcess):
                step(process)
        _, rest = psutil.wait_procs(rest, patience)
    return len(processes)


def _alive(identities: list[tuple[int, float]]) -> list[psutil.Process]:
    """Those still running; a pid used again by another program is not ours."""
    found = []
    for pid, born in identities:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _identity(pid: int) -> tuple[int, float]:
    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return pid, 0.0


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    """Ask every 50 ms. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def last_line(log: Path) -> str:
    """The last thing a program said, for one sentence to the operator; PostgreSQL's asides left out."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it said nothing"
    said = (line.strip().rstrip(".") for line in reversed(lines) if not ASIDE.search(line))
    return next((line for line in said if line), "it said nothing")
