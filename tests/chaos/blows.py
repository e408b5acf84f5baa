"""What is done to the processes while customers are being served, and when it was."""

import asyncio
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import psycopg

from tests.chaos.house import House, now
from tests.e2e.installation import wait_until

# Seconds within which a database is waited for after a blow.
BACK = 30.0
# Seconds that a database is silent, its connections open.
FROZEN = 5.0
# One of the installation's connections to its database.
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1
"""


@dataclass(frozen=True)
class Every:
    """Seconds between two blows, drawn anew each time."""

    least: float
    most: float

    @classmethod
    def read(cls, text: str) -> "Every":
        """``60`` or ``5-15``."""
        least, _, most = text.partition("-")
        return cls(float(least), float(most or least))


@dataclass(frozen=True)
class Blow:
    """``until``: Unix seconds at which a server answered again."""

    target: str
    at: float
    until: float


@dataclass
class Blows:
    """``plan``: what is struck how often."""

    house: House
    plan: dict[str, Every]
    seed: int
    struck: list[Blow] = field(default_factory=list)

    async def rain(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number, (target, every) in enumerate(self.plan.items()):
                group.create_task(self._strike(target, every, random.Random(self.seed * 100 + number)))

    def count(self, target: str) -> int:
        return sum(blow.target == target for blow in self.struck)

    def was_struck(self, moment: float, within: float, *targets: str) -> bool:
        """Whether one of ``targets`` was hit at ``moment`` or up to ``within`` seconds before or after."""
        return any(b.target in targets and b.at - within <= moment <= b.until + within for b in self.struck)

    async def _strike(self, target: str, every: Every, dice: random.Random) -> None:
        while True:
            await asyncio.sleep(dice.uniform(every.least, every.most))
            at = now()
            if target == "backends":
                await asyncio.to_thread(self._cut_a_connection)
            elif target == "frozen postgres":
                await asyncio.to_thread(self._freeze)
            elif programs := self.house.programs(target):
                await asyncio.to_thread(self._kill, target, dice.choice(programs))
            else:  # it has not come back from the last one
                continue
            self.struck.append(Blow(target, at, now()))

    def _kill(self, target: str, program: psutil.Process) -> None:
        # A postmaster that is killed would leave its backends; SIGQUIT is what "immediate" means.
        self.house.strike(program, signal.SIGQUIT if target == "postgres" else signal.SIGKILL)
        if target == "postgres":
            self._wait_for_another_database(program)

    def _freeze(self) -> None:
        family = [
            each
            for program in self.house.programs("postgres")
            for each in (program, *program.children(recursive=True))
        ]
        for process in family:
            self.house.strike(process, signal.SIGSTOP)
        time.sleep(FROZEN)
        for process in reversed(family):
            self.house.strike(process, signal.SIGCONT)

    def _cut_a_connection(self) -> None:
        with suppress(psycopg.OperationalError):  # there is no database just now
            self.house.query(CUT)

    def _wait_for_another_database(self, old: psutil.Process) -> None:
        wait_until(lambda: not old.is_running(), BACK)
        wait_until(self.house.database_answers, BACK)
