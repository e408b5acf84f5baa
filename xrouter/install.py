"""Make ``.venv`` of the pinned requirements, or leave it alone if it has them already.

``python3 xrouter/install.py requirements.txt …``. Runs before anything is installed, so it knows nothing
but the standard library.
"""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
VENV = BASE_DIR / ".venv"
PYTHON = VENV / "bin" / "python"
# A package with its version and hashes, as far as the next one.
PACKAGE = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^\]]*\])?==.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def main() -> int:
    try:
        with one_at_a_time():
            return install([BASE_DIR / name for name in sys.argv[1:]])
    except OSError as exc:
        return fail(f"{exc.filename or BASE_DIR}: {exc.strerror}")


def install(requirements: list[Path]) -> int:
    """Install what is new in these files. Returns the exit code."""
    if not works():
        if importlib.util.find_spec("ensurepip") is None:
            return fail(
                f"{sys.executable} cannot make virtual environments; on Debian: apt install python3-venv"
            )
        say(f"Making .venv with Python {sys.version.split()[0]} …")
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()  # a directory that is not ours to write is told by us, not by a traceback
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)  # noqa: S603
    # At once: each is busy with one processor. What two files name, the first one installs.
    known: set[str] = set()
    running = []
    for file in requirements:
        if not is_installed(file):
            running.append(Installation(file, besides=known))
        known |= names(file.read_text())
    failed = [installation for installation in running if not installation.ends_well()]
    for each in failed:
        fail(f"pip could not install {each.file.name}: {each.complaint()}")
    return 1 if failed else 0


def names(requirements: str) -> set[str]:
    return {found["name"] for found in PACKAGE.finditer(requirements)}


def works() -> bool:
    """Is there an environment whose Python is still in the system?"""
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", "import pip"], check=False).returncode == 0  # noqa: S603


def is_installed(file: Path) -> bool:
    return stamp(file).exists() and stamp(file).read_bytes() == file.read_bytes()


def stamp(file: Path) -> Path:
    """A copy of what was installed: modification times say little in a fresh clone."""
    return VENV / f"installed-{file.name}"


class Installation:
    """pip at work on one file. Its own words are kept beside it: nobody reads them unless it fails."""

    def __init__(self, file: Path, besides: set[str]) -> None:
        """``besides``: packages that are installed by another file."""
        self.file = file
        self._log = VENV / f"install-{file.name}.log"
        packages = [found for found in PACKAGE.finditer(file.read_text()) if found["name"] not in besides]
        self._count = len(packages)
        wanted = VENV / f"wanted-{file.name}"
        wanted.write_text("".join(found[0] for found in packages))
        say(f"Installing {len(packages)} packages of {file.name} …")
        command = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--require-hashes",
            # The file names every package already.
            "--no-deps",
            # A third of the time: of most modules nothing is ever imported.
            "--no-compile",
            "--no-input",
            "--progress-bar=off",
            "-r",
            wanted,
        ]
        with self._log.open("w") as log:
            # Readable for all: as root PostgreSQL is run by another user.
            self._pip = subprocess.Popen(command, stdout=log, stderr=log, umask=0o022)  # noqa: S603 (our own words)

    def ends_well(self) -> bool:
        """Wait for its end, with progress; was it a success?"""
        told = 0
        while self._pip.poll() is None:
            time.sleep(0.5)
            if (fetched := self._fetched()) >= told + 20:
                told = fetched
                say(f"  {fetched} of {self._count} fetched")
        if self._pip.returncode != 0:
            return False
        shutil.copyfile(self.file, stamp(self.file))
        return True

    def _fetched(self) -> int:
        lines = self._log.read_text(errors="replace").splitlines()
        return sum(line.startswith(("Collecting ", "Processing ")) for line in lines)

    def complaint(self) -> str:
        lines = [line for line in self._log.read_text().splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'it said nothing'} (more in {self._log})"


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two first starts in one checkout: the second waits for the first."""
    directory = os.open(BASE_DIR, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(directory)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def fail(sentence: str) -> int:
    print(f"XRouter cannot be installed: {sentence}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
