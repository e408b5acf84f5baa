"""The installation that is fuzzed: real processes, and the visitors who come to it."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.installation import Installation, Server, installed
from tests.fuzz.story import Visitor

# Who comes, and which of them have keys that open anything.
VISITORS = ("rich", "poor", "nobody", "stranger")
LET_IN = {"rich", "poor"}


@dataclass(frozen=True)
class House:
    servers: dict[str, Server]  # by the door
    visitors: dict[str, Visitor]

    def bugs(self) -> list[str]:
        """What the servers' logs tell of our own faults."""
        found = [event for server in self.servers.values() for event in server.program.events("unforeseen")]
        return [json.dumps(event, ensure_ascii=False) for event in found]


@contextmanager
def running() -> Iterator[House]:
    """On the servers of DATABASE_URL and REDIS_URL, in a database of its own."""
    with tempfile.TemporaryDirectory(prefix="xrouter-fuzz-") as home, installed(Path(home)) as installation:
        furnish(installation)
        keys = json.loads(installation.run(["-m", "tests.fuzz.guests"]))
        servers = {
            "express": installation.start_web("express", XROUTER_EXPRESS="1"),
            "framework": installation.start_web("framework", XROUTER_EXPRESS="0"),
        }
        yield House(
            servers, {name: Visitor(keys.get(name, ()), is_let_in=name in LET_IN) for name in VISITORS}
        )


def furnish(installation: Installation) -> None:
    """The catalogue, answered by twins."""
    installation.manage("migrate", "-v0")
    # Redis counts by these numbers, and is other tests' Redis, too.
    first = secrets.randbelow(1 << 40)
    for table in ("accounts_client", "accounts_apikey", "providers_credential", "routing_endpoint"):
        installation.query(f"ALTER TABLE {table} ALTER id RESTART WITH {first}")
    twins = installation.start_twins("twins")
    installation.manage("bootstrap", XROUTER_TWIN_URL=twins.url)
