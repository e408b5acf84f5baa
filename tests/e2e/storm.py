"""Requests of many tenants, half of whom hang up at any moment; who stays looks whether the answer is his."""

import asyncio
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field

from tests.e2e.installation import Server
from tests.e2e.talk import call, chat, texts

# Seconds within which who leaves has left: about as long as a request takes.
LEAVE_WITHIN = 0.02


@dataclass
class Storm:
    """What the tenants were told, of whom each has a limit like nobody else's."""

    server: Server
    keys: list[str]  # of each tenant one
    model: str
    leave_within: float = LEAVE_WITHIN
    seen: Counter[str] = field(default_factory=Counter)
    crossed: list[str] = field(default_factory=list)

    async def blow(self, each: int, at_once: int, seed: int = 1) -> None:
        gate, chance = asyncio.Semaphore(at_once), random.Random(seed)

        async def one(tenant: int, number: int) -> None:
            async with gate:
                leaves = chance.uniform(0, self.leave_within) if chance.random() < 0.5 else None
                await self._ask(tenant, f"nonce-{tenant}-{number}-{chance.getrandbits(64):x}", leaves)

        await asyncio.gather(*(one(t, n) for n in range(each) for t in range(len(self.keys))))

    async def _ask(self, tenant: int, nonce: str, leaves: float | None) -> None:
        is_streamed = nonce[-1] in "02468ace"
        body = chat(self.model, f"[[echo]][[chunks=3]]{nonce}", stream=is_streamed, user=nonce)
        line = await call(self.server, self.keys[tenant], body, Connection="close")
        if leaves is not None:
            await asyncio.sleep(leaves)
            await line.leave()
            self.seen["left"] += 1
            return
        status, headers = await line.head()
        rest = await line.rest()
        await line.close()
        said = nonce if status != 200 else "".join(texts(_joined(rest))) if is_streamed else spoken(rest)
        # Who is refused before he is known is told no limit.
        own = str(limit_of(tenant))
        told = (headers.get("x-ratelimit-limit-requests", own if status != 200 else None), said)
        self.seen["answered" if status == 200 else str(status)] += 1
        if told != (own, nonce):
            self.crossed.append(f"{tenant}: {nonce} was told {told}")


def spoken(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


def _joined(body: bytes) -> bytes:
    """A chunked body without the sizes of its chunks."""
    return b"".join(re.split(rb"(?:^|\r\n)[0-9a-f]+\r\n", body))


def limit_of(tenant: int) -> int:
    return 10_000 + tenant
