"""A streamed answer that keeps its promise: shown as far as it cannot be wrong, whole once it is right."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from billing.pricing import Price
from providers.errors import Broken
from providers.wire import Chat, Chunk
from routing.emitter import is_output
from routing.flow import Flow
from routing.promised.form import Fault, Found
from routing.promised.promise import Promise, asked_again, is_due
from routing.promised.reader import Reader

# Characters of one answer: what waits to be shown is in memory.
LONGEST = 1_000_000

TOO_LONG = Fault("", "исправленный ответ не поместился в max_tokens")

Open = Callable[[Chat], Awaitable[Flow]]


class PromisedFlow:
    """One answer, of several tries. As ``Flow``, which each of them is."""

    def __init__(self, promise: Promise, chat: Chat, open_: Open, price: Price, silence: float) -> None:
        """``open_``: begins a try. ``price``: what the provider takes. ``silence`` as in ``Flow.pieces``."""
        promise.begin()
        self._promise = promise
        self._chat = chat
        self._open = open_
        self._price = price
        self._silence = silence
        self._flow: Flow | None = None
        # What is shown of an answer that never fits is free: whoever lives on that is shown nothing early.
        self._reader = Reader(promise.form, waits=not promise.may_repair)
        self._reason = ""
        self._usage: dict[str, Any] | None = None
        self._beside: dict[str, Any] = {}  # what the answer holds beside its text
        self._ready: list[Chunk] = []
        self._held_up = 0.0
        self._asked_again = False
        self._clock = asyncio.get_running_loop().time
        self._silent_until = self._clock() + silence
        self._pieces = self._answer()

    @property
    def held_up(self) -> float:
        """Seconds for which the customer was waited for."""
        return self._held_up + (self._flow.held_up if self._flow else 0.0)

    @property
    def was_cut(self) -> bool:
        """As ``Flow.was_cut``."""
        return self._flow is not None and self._flow.was_cut

    async def begin(self) -> None:
        """Go on until there is something to show. Raises UpstreamError; Unfit if nothing will be."""
        async for chunks in self._pieces:
            self._ready += chunks
            if any(map(is_output, chunks)):
                return

    async def pieces(self, silence: float) -> AsyncGenerator[list[Chunk], None]:
        """As ``Flow.pieces``."""
        ready, self._ready = self._ready, []
        if ready:
            yield ready
        async with aclosing(self._pieces) as pieces:
            async for chunks in pieces:
                yield chunks

    async def finish(self) -> None:
        if self._flow is not None:
            await self._flow.finish()

    def close(self) -> None:
        if self._flow is not None:
            self._flow.close()

    async def _answer(self) -> AsyncGenerator[list[Chunk], None]:
        flow = await self._ask(self._chat)
        while True:
            async with aclosing(self._tried(flow)) as tried:
                async for chunks in tried:
                    yield chunks
            next_ = asyncio.ensure_future(self._next())
            async with aclosing(self._silences(next_)) as silences:
                async for silence in silences:
                    yield silence
            told = next_.result()
            if isinstance(told, str):
                yield self._end(told)
                return
            flow = told

    async def _silences(self, task: "asyncio.Task[Any]") -> AsyncGenerator[list[Chunk], None]:
        """An empty list after each silence until the task is done; it ends with the generator."""
        try:
            while not (await asyncio.wait({task}, timeout=self._silent_until - self._clock()))[0]:
                yield []
                self._silent_until = self._clock() + self._silence
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _next(self) -> str | Flow:
        """What is left to show, or the next try where this one does not do. Raises Unfit."""
        rest = await self._rest()
        if not isinstance(rest, Fault):
            return rest
        with self._promise.repair(rest, self._usage, self._price):
            return await self._again(rest)

    async def _ask(self, chat: Chat) -> Flow:
        self._reason, self._usage, self._beside = "", None, {}
        self._flow = await self._open(chat)
        return self._flow

    async def _again(self, fault: Fault) -> Flow:
        reader = self._reader
        await self.finish()
        self._held_up, self._asked_again = self.held_up, True
        self.close()
        self._flow, self._reader = None, Reader(self._promise.form, reader.shown)
        return await self._ask(asked_again(self._chat, reader.text, fault, reader.shown))

    async def _tried(self, flow: Flow) -> AsyncGenerator[list[Chunk], None]:
        """What may be shown of one try; an empty list after each silence."""
        # Looked at more often than it is told: what is not shown breaks no silence of the customer's.
        async with aclosing(flow.pieces(self._silence / 4)) as pieces:
            async for chunks in pieces:
                shown = [each for chunk in chunks for each in self._shown(chunk)]
                if shown or self._clock() >= self._silent_until:
                    yield shown
                    self._silent_until = self._clock() + self._silence

    def _shown(self, chunk: Chunk) -> list[Chunk]:
        """What of a piece may be shown at once; its end and its count wait for the end of all."""
        self._usage = chunk.get("usage") or self._usage
        if not chunk["choices"]:
            return []
        choice = chunk["choices"][0]
        delta = dict(choice["delta"])
        self._reason = choice.get("finish_reason") or self._reason
        words = self._words(delta.pop("content", None) or "", is_calling=bool(delta.get("tool_calls")))
        self._beside |= {name: value for name, value in delta.items() if value}
        if self._asked_again:
            delta.pop("reasoning", None)  # thoughts come before words, and of one try only
        return [_chunk(each) for each in ({"content": words}, delta) if any(each.values())]

    def _words(self, content: str, *, is_calling: bool) -> str:
        """The text that may be shown now; all that has come where a call follows, which is no answer yet."""
        if "tool_calls" in self._beside:
            return ""
        shown = self._reader.feed(content) if content else ""
        if self._reader.length > LONGEST:
            raise Broken(detail="an answer without an end")
        return shown + (self._reader.as_it_is() or "") if is_calling else shown

    async def _rest(self) -> str | Fault:
        """What is left to show, or why this try does not do."""
        reader = self._reader
        if not is_due(self._reason or "stop", self._beside):
            return self._broken_off()
        found = await self._promise.found(reader.text)
        if not isinstance(found, Found):
            return found
        rest = reader.rest(found)
        return Fault("", "ответ начинается иначе, чем то, что уже показано") if rest is None else rest

    def _broken_off(self) -> str:
        """What is left of an answer that was cut short, or that calls a tool: it is shown as it is."""
        if "tool_calls" in self._beside:
            return ""
        rest = self._reader.as_it_is()
        if rest is None and self._reason == "length":
            self._promise.give_up(TOO_LONG, self._usage, self._price)
        return rest or ""

    def _end(self, rest: str) -> list[Chunk]:
        usage = self._promise.billed(self._usage, self._price)
        self._promise.said = self._reader.length
        last = _chunk({"content": rest} if rest else {})
        last["choices"][0]["finish_reason"] = self._reason or "stop"
        return [last, {"choices": [], "usage": usage}] if usage else [last]


def _chunk(delta: dict[str, Any]) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
