"""The installation that is fuzzed: real processes, and the visitors who come to it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.installation import Installation, Server, migrated
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
    with tempfile.TemporaryDirectory(prefix="xrouter-fuzz-") as home, migrated(Path(home)) as installation:
        furnish(installation)
        keys = json.loads(installation.run(["-m", "tests.fuzz.guests"]))
        servers = {
            "express": installation.start_web("express", XROUTER_EXPRESS="1"),
            "framework": installation.start_web("framework", XROUTER_EXPRESS="0"),
        }
        managing = {"rich": keys["keeper"]}
        visitors = {
            name: Visitor(keys.get(name, ()), name in LET_IN, managing.get(name, ())) for name in VISITORS
        }
        yield House(servers, visitors)


def furnish(installation: Installation) -> None:
    """The catalogue, answered by twins."""
    twins = installation.start_twins("twins")
    installation.manage("bootstrap", XROUTER_TWIN_URL=twins.url)
