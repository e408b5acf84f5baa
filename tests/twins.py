"""The twins as a process of their own, for tests that are no event loop."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def twins_process() -> Iterator[str]:
    """The address of all families' twins."""
    command = [sys.executable, "-m", "providers.twins", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip().rpartition(" ")[2]
        finally:
            process.terminate()
