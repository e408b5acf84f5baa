"""A gateway in front of vendors on this machine, with a list for a database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from redis.asyncio import Redis

from accounts.callers import Caller
from accounts.limits import UNLIMITED, Limits
from billing.generations import GenerationRecord
from billing.holds import Ask, Grant, grant
from billing.money import Micro
from billing.pricing import Price, PriceList
from billing.teller import Teller
from billing.windows import Windows
from monitoring.health import Health
from providers.tokens import Tokens
from providers.transports.aio import Transport
from providers.upstreams import Login, Timeouts, Upstream
from routing.admission import Admission
from routing.attempts import Attempts
from routing.call import Call
from routing.catalogue import Card, Catalogue
from routing.embeddings.story import Embedder
from routing.gateway import Gateway
from routing.planner import Planner
from routing.route import Route
from routing.slots import Slots
from routing.ticket import Ticket
from tests.servers import END, Line, Vendor, event, stream_head
from tests.stream_order import told_by

# For who waits until they are over; on a machine with other work 0.3 s are nothing.
QUICK = Timeouts(connect=1, first_byte=0.3, first_token=0.3, between_tokens=0.3, total=2)
UNHURRIED = Timeouts(connect=5, first_byte=20, first_token=20, between_tokens=20, total=30)
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Привет"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
NOBODY = "http://127.0.0.1:9"
# Micro-roubles for a million tokens: a token of the prompt is one, a token of the answer two.
PRICE = Price(prompt=10**6, completion=2 * 10**6, cached_prompt=10**6, reasoning=2 * 10**6)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
WEALTH = 10**9  # micro-roubles
# What no test exceeds; the limits themselves are tested in tests/billing/test_windows.py.
GENEROUS = Limits(requests_per_second=100_000, concurrent_requests=100_000)


class Book(Teller):
    """A teller whose database is a list."""

    def __init__(self, *, room: int = 10_000, wealth: Micro = WEALTH) -> None:
        super().__init__("", room=room)
        self.records: list[GenerationRecord] = []

        self.wealth = wealth
        self.asks: list[Ask] = []
        self.released: list[UUID] = []

    async def hold(self, ask: Ask) -> Grant:
        await asyncio.sleep(0)
        given = min(ask.amount, self.wealth)
        granted = given if given >= ask.minimum else None
        self.asks.append(ask)
        return grant(ask, (ask.id, granted, self.wealth - (granted or 0), None, self.wealth))

    def release(self, generation_id: UUID, client_id: int) -> None:
        self.released.append(generation_id)

    async def settle(self, record: GenerationRecord) -> None:
        self.records.append(record)  # before anything is waited for, as the real one does
        await asyncio.sleep(0)


class House:
    """A gateway before the vendors of a test."""

    def __init__(
        self,
        *cards: Card,
        keep_alive: float = 10,
        room: int = 10_000,
        wealth: Micro = WEALTH,
        version: str = "",
    ) -> None:
        self.book = Book(room=room, wealth=wealth)
        self._redis = Redis.from_url(settings.REDIS_URL)
        self._transport = Transport()
        self.windows = Windows(self._redis, share=1)
        self.admission = Admission(self.book, self.windows)
        names = {name: card for card in cards for name in card.names}
        self.health = Health(self._redis)
        self.slots = Slots(self.windows)
        self.planner = Planner(
            lambda: Catalogue(names, version), self.health.vitals, lambda: datetime.now(UTC), secret=b"secret"
        )
        attempts = Attempts(Tokens(self._transport, self._redis), self.health, self.slots)
        self.embedder = Embedder(self.planner, self._transport, attempts, self.admission)
        self.gateway = Gateway(self.planner, self._transport, attempts, self.admission, keep_alive=keep_alive)

    async def __aenter__(self) -> "House":
        await self.windows.close()  # from now on it judges without Redis
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()
        await self._redis.aclose()

    async def admit(self, *, as_: Caller | None = None, **chat: Any) -> Ticket:
        asked = {"model": "m", "messages": [{"role": "user", "content": "Привет"}], **chat}
        return await self.gateway.admit(as_ or caller(), asked, Call("req_1", "127.0.0.1"))

    async def complete(self, **chat: Any) -> Any:
        return await self.gateway.complete(await self.admit(**chat))

    async def stream(self, **chat: Any) -> list[bytes]:
        """The events, whose order is always looked at."""
        ticket = await self.admit(stream=True, **chat)
        pieces = [piece async for piece in self.gateway.stream(ticket)]
        form = "functions" if chat.get("functions") else "chat"
        told_by(b"".join(pieces), form=form, include_usage=ticket.wants_usage)
        return pieces


def caller(**facts: Any) -> Caller:
    defaults = {
        "client_id": 1,
        "client": "Ромашка",
        "key_id": 1,
        "plan": "paid",
        "is_test": False,
        "is_blocked": False,
        "digest": b"",
        "expires_at": None,
        "models": frozenset(),
        "networks": (),
        "client_limits": GENEROUS,
        "key_limits": UNLIMITED,
    }
    return Caller(**{**defaults, **facts})


def login(number: int = 1, **secret: str) -> Login:
    return Login(
        id=number, label=f"login {number}", secret=secret or {"api_key": f"key-{number}"}, slots=1000
    )


def route(url: str, slug: str = "a", *, model: str = "m", priority: int = 0, **upstream: Any) -> Route:
    # Each provider's credential is another one.
    logins = (login(ord(slug[0]) - ord("a") + 1),)
    facts = {"adapter": "openai", "logins": logins, "timeouts": UNHURRIED, **upstream}
    return Route(
        endpoint_id=priority,
        model=model,
        upstream_model=f"{model}-at-{slug}",
        upstream=Upstream(slug=slug, base_url=url, **facts),
        priority=priority,
        prices=PriceList(((BEGINNING, PRICE),)),
        max_output=1000,
    )


def card(*routes: Route, name: str = "m", twins: tuple[Route, ...] = ()) -> Card:
    return Card(
        slug=name,
        names=frozenset({name}),
        context_length=1000,
        max_output=1000,
        routes=routes,
        twin_routes=twins,
    )


Script = Callable[[Line], Awaitable[None]]


def saying(*said: bytes) -> Script:
    async def script(line: Line) -> None:
        while True:
            await line.asked()
            await line.say(*said)

    return script


async def cutting(line: Line) -> None:
    await line.asked()


async def silent(line: Line) -> None:
    await line.asked()
    await line.until_left()


def delta(text: str = "", finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


ROLE = event(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
)
DONE = event(b"[DONE]")
WHOLE = (stream_head(), ROLE, delta("При"), delta("вет"), delta(finish="stop"), DONE, END)


def spoken(pieces: list[bytes]) -> str:
    """The text of a streamed answer."""
    return "".join(c["delta"].get("content") or "" for e in events_of(pieces) for c in e["choices"])


def events_of(pieces: list[bytes]) -> list[dict[str, Any]]:
    lines = b"".join(pieces).split(b"\n\n")
    return [orjson.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


def before(*servers: Vendor, timeouts: Timeouts = UNHURRIED, **kwargs: Any) -> House:
    """A house whose model has an endpoint at each of ``servers``, in this order."""
    routes = (route(s.url, "ab"[n], priority=n, timeouts=timeouts) for n, s in enumerate(servers))
    return House(card(*routes), **kwargs)
