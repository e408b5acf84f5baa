"""Make ``.venv`` of the pinned requirements, or leave it alone if it has them already.

``python3 xrouter/install.py requirements.txt …``. Runs before anything is installed, so it knows nothing
but the standard library.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
VENV = BASE_DIR / ".venv"
PYTHON = VENV / "bin" / "python"
# pip's own words are kept here: nobody reads them unless it fails.
LOG = VENV / "install.log"


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
    for file in requirements:
        if not is_installed(file) and not pip_install(file):
            return fail(f"pip could not install {file.name}: {last_line()} (more in {LOG})")
    return 0


def works() -> bool:
    """Is there an environment whose Python is still in the system?"""
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", "import pip"], check=False).returncode == 0  # noqa: S603


def is_installed(file: Path) -> bool:
    return stamp(file).exists() and stamp(file).read_bytes() == file.read_bytes()


def stamp(file: Path) -> Path:
    """A copy of what was installed: modification times say little in a fresh clone."""
    return VENV / f"installed-{file.name}"


def pip_install(file: Path) -> bool:
    """Install one file, with progress; was it a success?"""
    total = sum("==" in line for line in file.read_text().splitlines())
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
        file,
    ]
    say(f"Installing {total} packages of {file.name} …")
    with LOG.open("w") as log:
        # Readable for all: as root PostgreSQL is run by another user.
        pip = subprocess.Popen(  # noqa: S603 (our own words)
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, umask=0o022
        )
        found = 0
        for line in pip.stdout or ():
            log.write(line)
            if line.startswith(("Collecting ", "Processing ")):
                found += 1
                if found % 20 == 0:
                    say(f"  {found} of {total} fetched")
    if pip.wait() != 0:
        return False
    shutil.copyfile(file, stamp(file))
    return True


def last_line() -> str:
    return next((line for line in reversed(LOG.read_text().splitlines()) if line.strip()), "it said nothing")


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
