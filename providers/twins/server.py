"""The twins' server: reads a request, asks its dialect, spoils the reply as ordered, plays it, notes it."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from aiohttp import web

from providers.twins import answers
from providers.twins.control import Control
from providers.twins.dialect import Dialect, Operation, Visit
from providers.twins.directives import Directives, directives, fault_order, split_model
from providers.twins.emulated import recognised
from providers.twins.faults import is_known, spoil
from providers.twins.instances import NoSchema
from providers.twins.journal import Entry, Journal, text_hash
from providers.twins.orders import Limits, Order, Orders
from providers.twins.playback import PROPER, Playback, Played, on_wire, reset
from providers.twins.shapes import Ending, JsonObject, Question, Refused, Reply, json_object, json_reply
from providers.twins.turn import Turn

INVALID_JSON = "Your request contains invalid JSON syntax."
SLOW_READ = 4096  # bytes at a time


@dataclass(frozen=True, slots=True)
class Route:
    dialect: Dialect
    op: str
    operation: Operation | None  # None: chat


class Twins:
    """Serves all families of ``dialects``; one instance per process."""

    def __init__(self, dialects: Iterable[Dialect], *, delay: float = 0, rooted: bool = False) -> None:
        """``delay``: seconds between two events. ``rooted``: the only family works without its prefix too."""
        self.dialects = {dialect.family: dialect for dialect in dialects}
        self.journal, self.orders, self.limits = Journal(), Orders(), Limits()
        self.control = Control(self.journal, self.orders, self.limits, self.dialects)
        self._delay = delay
        self._exact: dict[tuple[str, str], Route] = {}
        self._prefixes: dict[tuple[str, str], Route] = {}
        self._stale: set[asyncio.Transport] = set()
        for dialect in self.dialects.values():
            self._mount(dialect, f"/{dialect.family}")
            if rooted:
                self._mount(dialect, "")

    def _mount(self, dialect: Dialect, prefix: str) -> None:
        self._exact["POST", prefix + dialect.chat_path] = Route(dialect, "chat", None)
        for (method, path), (op, operation) in dialect.operations().items():
            table = self._prefixes if path.endswith("/") else self._exact
            table[method, prefix + path] = Route(dialect, op, operation)

    # --- One request ------------------------------------------------------------------------------

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """What aiohttp calls for each request. The answer is written to the transport by hand."""
        transport = request.transport
        if transport is None:
            return Played(keep=False)
        if request.path.startswith("/__") or request.path == "/healthz":
            return await self.control.serve(request)
        if transport in self._stale:
            self._stale.discard(transport)
            reset(transport)
            return Played(keep=False)
        route = self._route(request.method, request.path)
        if route is None:
            return await self._play(request, transport, _NOT_FOUND, Entry(0, "", "", time.time(), {}, ()))
        return await self._journaled(request, transport, route)

    def _route(self, method: str, path: str) -> Route | None:
        found = self._exact.get((method, path))
        if found:
            return found
        below = (
            route
            for (verb, prefix), route in self._prefixes.items()
            if verb == method and path.startswith(prefix)
        )
        return next(below, None)

    async def _journaled(
        self, request: web.BaseRequest, transport: asyncio.Transport, route: Route
    ) -> web.StreamResponse:
        entry = self.journal.opened(route.dialect.family, route.op, request.headers, time.time())
        try:
            with ExitStack() as slots:
                reply = await self._reply(request, route, entry, slots)
                return await self._play(request, transport, reply, entry)
        finally:
            # Also when the peer has gone: aiohttp cancels this handler at once.
            self.journal.closed(entry, entry.outcome or "closed_by_client", time.time())

    async def _reply(self, request: web.BaseRequest, route: Route, entry: Entry, slots: ExitStack) -> Reply:
        order = self.orders.take(entry.family, entry.op)
        path = request.path.removeprefix(f"/{entry.family}")
        visit = Visit(request.method, path, request.headers, b"", entry.t_start)
        if order and order.kind == "early_413":
            return spoil(Turn(route.dialect, visit), order.kind, order.args)
        visit = replace(visit, body=await _body(request, order))
        self.journal.saw(entry, _as_it_came(visit))
        try:
            turn = self._turn(route, visit, entry, slots)
            order = order or _ordered_by_prompt(turn, visit)
        except Refused as refused:
            turn = Turn(route.dialect, visit, plain=json_reply(refused.body, refused.status, refused.headers))
        if order is None:
            return turn.reply()
        entry.fault = order.kind
        return spoil(turn, order.kind, order.args)

    def _turn(self, route: Route, visit: Visit, entry: Entry, slots: ExitStack) -> Turn:
        dialect = route.dialect
        if route.op == "embeddings":
            self._take_slot(dialect, dialect.authorize(visit), slots)
            orders = _noted(entry, dialect, json_object(visit.body) or {})
            return Turn(dialect, visit, plain=route.operation and route.operation(visit), orders=orders)
        if route.operation:
            return Turn(dialect, visit, plain=route.operation(visit))
        self._take_slot(dialect, dialect.authorize(visit), slots)
        body = json_object(visit.body)
        if body is None:
            raise dialect.refused(400, INVALID_JSON)
        entry.fields = sorted(body)
        entry.model, _ = split_model(dialect.model_of(body))
        question = recognised(dialect.question(visit, body, entry.model))
        _note(entry, question)
        if entry.prompt_tokens > dialect.context:
            raise dialect.too_long(entry.prompt_tokens)
        try:
            made = answers.answers(question, dialect.title, entry.nonce)
        except NoSchema as exc:
            raise dialect.refused(400, "Invalid JSON Schema") from exc
        return Turn(dialect, visit, question, made, delay=self._delay)

    def _take_slot(self, dialect: Dialect, owner: str, slots: ExitStack) -> None:
        if not self.limits.enter(dialect.family, owner):
            raise dialect.refused(429, "Too many requests")
        slots.callback(self.limits.leave, dialect.family, owner)

    async def _play(
        self, request: web.BaseRequest, transport: asyncio.Transport, reply: Reply, entry: Entry
    ) -> web.StreamResponse:
        entry.status = reply.status
        if not await Playback(transport, on_wire(reply), entry).run():
            return Played(keep=False)
        if reply.ending is Ending.HANG:
            await asyncio.get_running_loop().create_future()  # until the peer goes and aiohttp cancels us
        entry.outcome = "served" if reply.ending in PROPER else "cut"
        self._end(transport, reply.ending)
        return Played(keep=reply.ending in {Ending.KEEP, Ending.STALE} and request.keep_alive)

    def _end(self, transport: asyncio.Transport, ending: Ending) -> None:
        if ending is Ending.RST:
            reset(transport)
        elif ending is Ending.FIN:
            transport.close()
        elif ending is Ending.STALE:
            self._stale = {one for one in self._stale if not one.is_closing()} | {transport}


_NOT_FOUND = json_reply({"error": {"message": "Not found"}}, 404)


def _note(entry: Entry, question: Question) -> None:
    """What the journal tells about a chat."""
    said = "\n".join(message.text for message in question.messages)
    tags = [tag for message in question.messages for tag in directives(message.text).all("tag")]
    entry.tag = tags[-1] if tags else ""
    entry.text_hash = text_hash(said)
    entry.streamed = question.stream
    entry.prompt_tokens = answers.prompt_tokens(question)


def _noted(entry: Entry, dialect: Dialect, body: JsonObject) -> Directives:
    """What the journal tells about texts that become vectors; the orders in them."""
    texts = dialect.texts(body)
    said = "\n".join(texts)
    orders = directives(said)
    entry.fields = sorted(body)
    entry.model, _ = split_model(dialect.model_of(body))
    entry.tag, entry.text_hash = orders.word("tag"), text_hash(said)
    entry.prompt_tokens = sum(map(answers.tokens, texts))
    return orders


def _ordered_by_prompt(turn: Turn, visit: Visit) -> Order | None:
    """The fault that the model's suffix or a directive asks for. Raises Refused for an unknown one."""
    orders = turn.question.directives if turn.question else turn.orders
    _, suffix = split_model(turn.dialect.model_of(json_object(visit.body) or {}))
    spec = suffix or orders.word("fault")
    if not spec:
        return None
    kind, args = fault_order(spec)
    if not is_known(kind):
        raise turn.dialect.refused(400, f"Twin: no such fault: {kind}")
    return Order(kind, args)


async def _body(request: web.BaseRequest, order: Order | None) -> bytes:
    if order is None or order.kind != "slow_read":
        return await request.content.read()
    pieces = []
    while piece := await request.content.read(SLOW_READ):
        pieces.append(piece)
        await asyncio.sleep(float(order.args.get("ms", 50)) / 1000)
    return b"".join(pieces)


def _as_it_came(visit: Visit) -> bytes:
    """The request for the canary: path, headers and body."""
    headers = "\n".join(f"{name}: {value}" for name, value in visit.headers.items())
    return f"{visit.path}\n{headers}\n".encode("utf-8", "surrogateescape") + visit.body
