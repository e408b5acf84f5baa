"""PostgreSQL and Redis of a test's own, to be stopped, frozen and started again without harm to others."""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.e2e.installation import START, wait_until
from xrouter import services
from xrouter.home import keep_secrets, open_home


class Breakable:
    """A server of ours as a process that may be hurt."""

    def __init__(self, server: services.Server, logs: Path) -> None:
        self.url = server.url
        self._server = server
        self._log = logs / f"{server.name}.log"

    def start(self) -> None:
        program = self._server.program()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                program.command,
                cwd=program.directory,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_identity(program.user),
            )
        assert wait_until(self._server.answers, START), self._log.read_text()[-2000:]

    def stop(self) -> None:
        """At once, as by a power cut. (A PostgreSQL that is killed would leave its backends.)"""
        self.thaw()
        self._process.send_signal(signal.SIGQUIT if self._server.name == "postgres" else signal.SIGKILL)
        self._process.wait(START)

    def freeze(self) -> None:
        """It answers nobody, and its connections stay."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in reversed(self._family()):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []


@contextmanager
def breakable() -> Iterator[tuple[Breakable, Breakable]]:
    """PostgreSQL and Redis; gone with their data at the end of the block."""
    with TemporaryDirectory(prefix="xrouter-e2e-") as directory, in_place(Path(directory)) as servers:
        yield servers


@contextmanager
def in_place(home: Path) -> Iterator[tuple[Breakable, Breakable]]:
    place = open_home(home)
    # What a disk may lose is of no matter: the kernel survives these tests.
    servers = services.embedded(place, keep_secrets(place, {}), {}, services.THROWAWAY_SETTINGS)
    for server in servers:
        server.prepare()
    postgres, redis = (Breakable(server, place.logs) for server in servers)
    postgres.start()
    redis.start()
    try:
        yield postgres, redis
    finally:
        redis.stop()
        postgres.stop()


def _identity(name: str | None) -> dict[str, object]:
    if name is None or os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(name)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
