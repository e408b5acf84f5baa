"""The state of one installation: its directory, secrets, ports, and the lock that keeps it to one start."""

import base64
import errno
import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xrouter.errors import CannotStart

# Bytes free on the disk below which nothing is begun: a new PostgreSQL takes some 60 MB.
ROOM = 100 * 2**20


def new_vault_keys() -> str:
    """One vault key as settings want it: "k1:<base64 of 32 random bytes>"."""
    return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()


# Made at first start and kept: losing one loses data. The environment overrides each of them.
SECRETS = {
    "XROUTER_SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "XROUTER_VAULT_KEYS": new_vault_keys,
    "XROUTER_POSTGRES_PASSWORD": lambda: secrets.token_hex(24),
    "XROUTER_REDIS_PASSWORD": lambda: secrets.token_hex(24),
}
# Kept while they are free, so that a second start has the addresses of the first.
PORTS = ("XROUTER_POSTGRES_PORT", "XROUTER_REDIS_PORT", "XROUTER_TWIN_PORT")


@dataclass(frozen=True)
class Home:
    """``$XROUTER_HOME``. Everything below it belongs to its owner alone."""

    path: Path

    @property
    def environment(self) -> Path:
        """The file that ``xrouter.settings`` reads: secrets, and the servers now in use."""
        return self.path / "environment"

    @property
    def logins(self) -> Path:
        """The demonstration key and the passwords made at first start."""
        return self.path / "logins"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def postgres(self) -> Path:
        """The data directory of our own PostgreSQL."""
        return self.path / "postgres"


def open_home(path: Path) -> Home:
    """The state directory, made if it is new and found fit. Raises CannotStart."""
    home = Home(path.resolve())
    if home.path.exists() and not home.path.is_dir():
        raise CannotStart(f"XROUTER_HOME is {home.path}, which is not a directory.")
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(home.path.iterdir()):
            home.path.chmod(0o700)  # it may have been made for us, by whatever habit
        home.logs.mkdir(mode=0o700, exist_ok=True)
        (home.path / "writable").write_bytes(b"?" * 4096)
        (home.path / "writable").unlink()
    except OSError as exc:
        raise CannotStart(f"The state directory {home.path} cannot be written: {exc.strerror}.") from exc
    _check_room(home.path)
    return home


def _check_room(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < ROOM:
        raise CannotStart(
            f"The disk of {path} is full: {free >> 20} MB are free, and {ROOM >> 20} MB are needed."
        )


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the installation; the kernel lets go of it when we end, however we end. Raises CannotStart."""
    with (home.path / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise CannotStart(
                f"XRouter is already running in {home.path} (process {lock.read().strip()}); "
                "for a second one set another XROUTER_HOME and XROUTER_PORT."
            ) from exc
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def keep_secrets(home: Home, given: Mapping[str, str]) -> dict[str, str]:
    """Secrets and ports of this installation: given from outside, else kept, else new. Raises CannotStart."""
    kept = read_pairs(home.environment)
    _check_data(home, kept, given)
    held = {name: given.get(name) or kept.get(name) or make() for name, make in SECRETS.items()}
    taken: set[int] = set()
    for name in PORTS:
        port = _port(given.get(name) or kept.get(name), taken)
        taken.add(port)
        held[name] = str(port)
    return held


def _check_data(home: Home, kept: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Do we know the secrets of the data that is there already, if there is any? Raises CannotStart."""
    if not holds_anything(home.postgres):
        return
    known = {name for pairs in (kept, given) for name, value in pairs.items() if value}
    if not known.issuperset((*SECRETS, *PORTS)):
        state = "incomplete" if home.environment.exists() else "missing"
        raise CannotStart(
            f"{home.environment} is {state}, and without its secrets the data beside it cannot be "
            f"opened: put the file back, or remove {home.path} to begin anew."
        )
    # The file is written anew at each start: the true password would be lost.
    name = "XROUTER_POSTGRES_PASSWORD"
    if kept.get(name) and given.get(name) and kept[name] != given[name]:
        raise CannotStart(
            f"{name} is not the one in {home.environment}, which the data was made with: unset it."
        )


def holds_anything(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _port(wanted: str | None, taken: set[int]) -> int:
    if wanted and wanted.isdigit() and int(wanted) not in taken and is_free("127.0.0.1", int(wanted)):
        return int(wanted)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(host: str, port: int) -> bool:
    """May we listen there? Raises OSError for an address that is not ours."""
    with socket.socket() as probe:
        # As servers do, so that connections of a server just stopped are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def read_pairs(path: Path) -> dict[str, str]:
    """The ``NAME=value`` lines of a file of ours; nothing if it is not there. Raises CannotStart."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise CannotStart(
            f"{path} cannot be read: {getattr(exc, 'strerror', None) or 'it is damaged'}."
        ) from exc
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    if not all(equals and name.isidentifier() for name, equals, _ in pairs):
        raise CannotStart(f"{path} is damaged: each line has to be NAME=value.")
    return {name: value for name, _, value in pairs}


def write_pairs(path: Path, title: str, pairs: Mapping[str, str]) -> None:
    """Replace ``path`` by these pairs, whole or not at all, readable by its owner only."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in pairs.items())
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(f"# {title}\n{text}")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
