"""What takes long to check, in a process of its own: customers' schemas may be made to take for ever.

Run as ``python -m routing.promised.inspector``: a schema and a document on standard input, the first fault
on standard output. The process may use a second or two of CPU and no more.
"""

import asyncio
import resource
import signal
import sys
from pathlib import Path

import orjson

from routing.promised.schemas import Schema, compiled, first_fault

SECONDS = 2  # of CPU
PATIENCE = 30.0  # seconds by the clock, with the time in line
MEMORY = 1024**3  # bytes
HOME = Path(__file__).parent.parent.parent
# How a process ends to which schema and document were too much: no time left, no memory, no stack.
IN_VAIN = 3
TOO_MUCH = {IN_VAIN, -signal.SIGXCPU, -signal.SIGABRT, -signal.SIGSEGV}


class TakesTooLong(Exception):
    """The document could not be checked within the time that a check may take."""


class IsBusy(Exception):
    """The document was not checked, through no fault of its own."""


class Inspector:
    """One per web worker: one document at a time, whoever else waits."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def first_fault(self, schema: Schema, text: str) -> tuple[str, str]:
        """As ``schemas.first_fault``, of the document in ``text``. Raises TakesTooLong or IsBusy."""
        try:
            async with asyncio.timeout(PATIENCE), self._turn:
                code, told = await _asked(orjson.dumps(schema) + b"\n" + text.encode())
        except (TimeoutError, OSError) as exc:
            raise IsBusy from exc
        if code in TOO_MUCH:
            raise TakesTooLong
        if code or not told:  # it was killed, or did not begin
            raise IsBusy
        path, why = orjson.loads(told)
        return path, why


async def _asked(question: bytes) -> tuple[int | None, bytes]:
    """How a process of its own ended, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=HOME,
    )
    try:
        told, _ = await process.communicate(question)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, told


def main() -> None:
    # The second limit kills without a word; that may be others' doing.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    schema, _, document = sys.stdin.buffer.read().partition(b"\n")
    try:
        told = first_fault(compiled(orjson.loads(schema)), orjson.loads(document))
    except (MemoryError, ValueError):
        sys.exit(IN_VAIN)
    sys.stdout.buffer.write(orjson.dumps(told))


if __name__ == "__main__":
    main()
