"""What takes long to check, in a process of its own: customers' schemas may be made to take for ever.

Run as ``python -m routing.promised.inspector``: a schema and a document on standard input, the first fault
on standard output. The process may use a second or two of CPU and no more.
"""

import asyncio
import resource
import sys
from pathlib import Path
from typing import Any

import orjson

from routing.promised.schemas import Schema, compiled, first_fault

SECONDS = 2  # of CPU
PATIENCE = 8.0  # seconds by the clock
MEMORY = 1024**3  # bytes
HOME = Path(__file__).parent.parent.parent


class TakesTooLong(Exception):
    """The document could not be checked within the time that a check may take."""


class Inspector:
    """One per web worker: one document at a time, whoever else waits."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def first_fault(self, schema: Schema, document: Any) -> tuple[str, str]:
        """As ``schemas.first_fault``. Raises TakesTooLong."""
        async with self._turn:
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
                async with asyncio.timeout(PATIENCE):
                    told, _ = await process.communicate(orjson.dumps([schema, document]))
            except TimeoutError:
                told = b""
            finally:
                if process.returncode is None:
                    process.kill()
        if process.returncode or not told:
            raise TakesTooLong
        path, why = orjson.loads(told)
        return path, why


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    schema, document = orjson.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(orjson.dumps(first_fault(compiled(schema), document)))


if __name__ == "__main__":
    main()
