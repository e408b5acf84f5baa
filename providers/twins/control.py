"""The control plane: journal, summary, faults, limits, canary, listener. No vendor has it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from aiohttp import web

from providers.twins.dialect import Dialect
from providers.twins.faults import ON_ACCEPT, is_known
from providers.twins.journal import Journal
from providers.twins.orders import ANY, Limits, Order, Orders
from providers.twins.shapes import JSON, JsonObject, dumps, json_object


class Wrong(Exception):
    """An order that cannot be carried out: 400 with this text."""


class Listener(Protocol):
    """The port, which can be closed or left unattended for a while."""

    async def close(self, seconds: float, *, drop: bool) -> None: ...

    async def pause(self, seconds: float) -> None: ...


class Control:
    def __init__(
        self, journal: Journal, orders: Orders, limits: Limits, dialects: Mapping[str, Dialect]
    ) -> None:
        self._journal, self._orders, self._limits, self._dialects = journal, orders, limits, dialects
        self.listener: Listener | None = None
        self._routes: dict[tuple[str, str], Callable[[web.BaseRequest], Awaitable[Any]]] = {
            ("GET", "/healthz"): self._health,
            ("GET", "/__journal"): self._show_journal,
            ("GET", "/__summary"): self._show_summary,
            ("GET", "/__fault"): self._show_faults,
            ("POST", "/__fault"): self._add_fault,
            ("DELETE", "/__fault"): self._clear_faults,
            ("GET", "/__limits"): self._show_limits,
            ("POST", "/__limits"): self._set_limits,
            ("POST", "/__reset"): self._reset,
            ("GET", "/__canary"): self._show_leaks,
            ("POST", "/__canary"): self._look_for,
            ("POST", "/__gigachat"): self._expire_tokens,
            ("POST", "/__yandexgpt"): self._expire_tokens,
            ("POST", "/__listener"): self._listen,
        }

    async def serve(self, request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/__bait/"):
            self._journal.bait_hits += 1
            return _answer({"bait": True})
        route = self._routes.get((request.method, request.path))
        if route is None:
            return _answer({"error": "no such control"}, 404)
        try:
            return _answer(await route(request))
        except (Wrong, ValueError, TypeError) as wrong:
            return _answer({"error": str(wrong)}, 400)

    async def _health(self, request: web.BaseRequest) -> JsonObject:
        return {"status": "ok", "families": list(self._dialects)}

    async def _show_journal(self, request: web.BaseRequest) -> JsonObject:
        query = request.query
        found = self._journal.entries(
            tag=query.get("tag", ""), family=query.get("family", ""), since=float(query.get("since", 0))
        )
        return {"entries": list(found)}

    async def _show_summary(self, request: web.BaseRequest) -> JsonObject:
        return self._journal.summary()

    async def _show_faults(self, request: web.BaseRequest) -> JsonObject:
        return {"waiting": [_shown(order) for order in self._orders.waiting()]}

    async def _add_fault(self, request: web.BaseRequest) -> JsonObject:
        order = self._order(await _json(request))
        self._orders.add(order)
        return _shown(order)

    def _order(self, body: JsonObject) -> Order:
        kind = str(body.get("kind", ""))
        family = str(body.get("family", ANY))
        if not is_known(kind) and kind not in ON_ACCEPT:
            raise Wrong(f"no such fault: {kind}")
        if family != ANY and family not in self._dialects:
            raise Wrong(f"no such family: {family}")
        op = "accept" if kind in ON_ACCEPT else str(body.get("op", "chat"))
        return Order(
            kind,
            {name: str(value) for name, value in (body.get("args") or {}).items()},
            family=ANY if kind in ON_ACCEPT else family,
            op=op,
            times=int(body.get("times", 1)),
            sticky=bool(body.get("sticky", False)),
            probability=float(body.get("probability", 1)),
        )

    async def _clear_faults(self, request: web.BaseRequest) -> JsonObject:
        self._orders.clear()
        return {"waiting": []}

    async def _show_limits(self, request: web.BaseRequest) -> JsonObject:
        return self._limits.shown()

    async def _set_limits(self, request: web.BaseRequest) -> JsonObject:
        body = await _json(request)
        for family in self._families(body):
            self._limits.set(family, int(body.get("concurrency") or 0))
        return self._limits.shown()

    def _families(self, body: JsonObject) -> Iterable[str]:
        family = body.get("family", ANY)
        if family != ANY and family not in self._dialects:
            raise Wrong(f"no such family: {family}")
        return self._dialects if family == ANY else [family]

    async def _reset(self, request: web.BaseRequest) -> JsonObject:
        self._journal.clear()
        self._orders.clear()
        self._limits.clear()
        return {"reset": True}

    async def _look_for(self, request: web.BaseRequest) -> JsonObject:
        needles = (await _json(request)).get("needles")
        if not isinstance(needles, list) or not all(isinstance(needle, str) for needle in needles):
            raise Wrong("needles must be an array of strings")
        self._journal.look_for(needles)
        return {"leaks": self._journal.leaks()}

    async def _show_leaks(self, request: web.BaseRequest) -> JsonObject:
        return {"leaks": self._journal.leaks()}

    async def _expire_tokens(self, request: web.BaseRequest) -> JsonObject:
        family = request.path.removeprefix("/__")
        if (await _json(request)).get("action") != "expire_tokens" or family not in self._dialects:
            raise Wrong("the only action is expire_tokens")
        self._dialects[family].forget_tokens()
        return {"expired": True}

    async def _listen(self, request: web.BaseRequest) -> JsonObject:
        body = await _json(request)
        seconds = float(body.get("seconds", 5))
        if self.listener is None or body.get("action") not in {"close", "pause"}:
            raise Wrong("the actions are close and pause")
        if body["action"] == "close":
            await self.listener.close(seconds, drop=bool(body.get("drop", False)))
        else:
            await self.listener.pause(seconds)
        return {"action": body["action"], "seconds": seconds}


async def _json(request: web.BaseRequest) -> JsonObject:
    body = json_object(await request.content.read())
    if body is None:
        raise Wrong("a JSON object is expected")
    return body


def _shown(order: Order) -> JsonObject:
    return {
        "family": order.family,
        "op": order.op,
        "kind": order.kind,
        "args": dict(order.args),
        "times": order.times,
        "sticky": order.sticky,
        "probability": order.probability,
    }


def _answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value), status=status, headers=dict([JSON]))
