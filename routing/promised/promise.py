"""One request's promise: the answer is checked, asked for again, and free where that is in vain."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from billing.money import Micro
from billing.pricing import FREE, Price, cost_of
from providers.errors import Rejected
from providers.wire import Chat, Completion
from routing.errors import BadRequest, TooManyUnfit, Unavailable, Unfit
from routing.promised.form import FIELD, Fault, Form, Found, found_in, promised_form
from routing.promised.inspector import Inspector, IsBusy, TakesTooLong

# How often a model is asked again, over all endpoints of one request.
REPAIRS = 2
# Answers that a client may lose us: so many, so many more each second, and for each that he has paid for.
# When they are used up his are not asked for again, and after as many more he is not answered.
SAVED, REGAINED, EARNED = 20.0, 20 / 3600, 0.5
# Schemas that took too long to check, and clients whose losses are counted; the oldest are forgotten.
MOST = 1_000

TOO_COMPLEX = f"Поле {FIELD}: схема слишком сложна, ответ по ней не удаётся проверить."
NO_DOCUMENT = Fault("", "ответ не является документом JSON")
AGAIN = """\
Ответ не подходит: {fault}
Ответь ещё раз целиком и исправь это. Нужен только документ JSON, без пояснений и без разметки.{kept}"""
KEPT = " Начало «{shown}» верно, повтори его без изменений."
# Of what was shown already the model is reminded by its last characters.
REMINDED = 200
# Validators like to quote all that does not fit; the model has it before its eyes.
LONGEST_FAULT = 500

Usage = dict[str, Any]


class Promises:
    """One per web worker."""

    def __init__(self) -> None:
        self.inspector = Inspector()
        # Marks of forms that cannot be checked in time.
        self._endless: OrderedDict[bytes, None] = OrderedDict()
        self._losses: OrderedDict[int, tuple[float, float]] = OrderedDict()  # client -> left, since when

    def of(self, chat: Chat, client_id: int) -> "Promise | None":
        """What has to be kept in answering ``chat``. Raises BadRequest or TooManyUnfit."""
        form = promised_form(chat)
        if form is None:
            return None
        if (short := 1 - SAVED - self._left(client_id)) > 0:
            raise TooManyUnfit(retry_after=short / REGAINED)
        if form.mark in self._endless:
            raise BadRequest(TOO_COMPLEX, param=FIELD)
        return Promise(form, self, client_id)

    def is_endless(self, form: Form) -> None:
        """Nothing can be promised by ``form`` from now on."""
        _remember(self._endless, form.mark, None)

    def may_repair(self, client_id: int) -> bool:
        """Whether the client has not lost us too many answers lately: what does not fit is free."""
        return self._left(client_id) >= 1

    def lost(self, client_id: int) -> None:
        """An answer of the client's was free."""
        _remember(self._losses, client_id, (self._left(client_id) - 1, _now()))

    def paid(self, client_id: int) -> None:
        """The client has got an answer that he pays for."""
        if client_id in self._losses:
            _remember(self._losses, client_id, (self._left(client_id) + EARNED, _now()))

    def _left(self, client_id: int) -> float:
        left, since = self._losses.get(client_id, (SAVED, _now()))
        return min(SAVED, left + REGAINED * (_now() - since))


class Promise:
    """What one request's answer has to be."""

    def __init__(self, form: Form, promises: Promises, client_id: int) -> None:
        self.form = form
        self.repairs = 0
        self.own_cost: Micro = 0  # what providers take for what the customer does not pay
        self.said = 0  # characters of the answer that the customer gets, with what stands around its document
        self._promises = promises
        self._client_id = client_id
        self._asked = 0  # how often the endpoint that answers was asked
        self._first: Usage | None = None  # what its first answer took

    async def kept(
        self, chat: Chat, ask: Callable[[Chat], Awaitable[Completion]], price: Price
    ) -> Completion:
        """What ``ask`` brings that keeps the promise. ``price``: what the provider takes.

        Raises Unfit, BadRequest where it cannot be checked, or what ``ask`` raises.
        """
        self.begin()
        completion = await ask(chat)
        while True:
            choice = completion["choices"][0]
            if not is_due(choice["finish_reason"], choice["message"]):
                return self._billed(completion, price)
            text = choice["message"].get("content") or ""
            self.said = len(text)
            found = await self.found(text)
            if isinstance(found, Found):
                message = {**choice["message"], "content": found.text}
                fitting = {**completion, "choices": [{**choice, "message": message}]}
                return self._billed(fitting, price)
            with self.repair(found, completion.get("usage"), price):
                completion = await ask(asked_again(chat, text, found))

    @property
    def may_repair(self) -> bool:
        """Whether we may pay for more tries, and show what the model says before it is whole."""
        return self._promises.may_repair(self._client_id)

    def begin(self) -> None:
        """Another endpoint is asked: nothing of what was said before is in its question."""
        self._asked, self._first = 1, None

    async def found(self, text: str) -> Found | Fault:
        """The document in an answer, or why it is not what was promised. Raises BadRequest or Unavailable."""
        try:
            found = found_in(text)
        except ValueError:
            return NO_DOCUMENT
        form = self.form
        if form.is_quick(found.text) and form.fits(found.document):
            return found
        if form.is_quick_to_tell(found.text):
            return form.fault(found.document) or found
        return await self._inspected(found)

    @contextmanager
    def repair(self, fault: Fault, usage: Usage | None, price: Price) -> Iterator[None]:
        """Ask again inside, because of ``fault`` in an answer that took ``usage``. Raises Unfit."""
        if self.repairs >= REPAIRS or not self.may_repair:
            self.give_up(fault, usage, price)
        self._spend(usage, price)
        if self._asked == 1:
            self._first = usage
        self.repairs += 1
        self._asked += 1
        try:
            yield
        except Rejected:  # the question has grown too long, or is not liked any more
            self.give_up(fault)

    def billed(self, usage: Usage | None, price: Price) -> Usage | None:
        """What the customer pays for: his own question, and the answer that he gets; None if nobody knows."""
        self._promises.paid(self._client_id)
        if self._asked == 1:
            return usage
        first = self._first
        if first is None or usage is None:
            return None
        prompt, completion = first["prompt_tokens"], usage["completion_tokens"]
        told = {**usage, "prompt_tokens": prompt, "total_tokens": prompt + completion}
        told["prompt_tokens_details"] = first.get("prompt_tokens_details")
        self._spend(usage, price)
        self._spend(told, price, back=True)
        return told

    def _billed(self, completion: Completion, price: Price) -> Completion:
        return {**completion, "usage": self.billed(completion.get("usage"), price)}

    def _spend(self, usage: Usage | None, price: Price, *, back: bool = False) -> None:
        cost = cost_of(price, usage) if usage else 0
        self.own_cost += -cost if back else cost

    def give_up(self, fault: Fault, usage: Usage | None = None, price: Price = FREE) -> NoReturn:
        """No answer will fit: the last one has ``fault`` and took ``usage``. Raises Unfit."""
        self._spend(usage, price)
        self._promises.lost(self._client_id)
        # What the model said is the customer's: the operator's log is told nothing of it.
        raise Unfit(str(fault), detail="not in form", path=fault.path, repairs=self.repairs)

    async def _inspected(self, found: Found) -> Found | Fault:
        try:
            path, why = await self._promises.inspector.first_fault(self.form.schema, found.text)
        except TakesTooLong:
            self._promises.is_endless(self.form)
            raise BadRequest(TOO_COMPLEX, param=FIELD) from None
        except IsBusy as exc:
            raise Unavailable from exc
        return Fault(path, why) if why else found


def is_due(finish_reason: str, message: dict[str, Any]) -> bool:
    """Whether an answer is one that has to be in form: not cut short, withheld, or a call of tools."""
    return finish_reason == "stop" and not message.get("tool_calls") and not message.get("refusal")


def asked_again(chat: Chat, text: str, fault: Fault, shown: str = "") -> Chat:
    """The chat, with an answer that does not do and why. ``shown``: what the customer has of it."""
    kept = KEPT.format(shown=shown[-REMINDED:]) if shown else ""
    told = {"role": "user", "content": AGAIN.format(fault=str(fault)[:LONGEST_FAULT], kept=kept)}
    answer = [{"role": "assistant", "content": text}] if text else []
    return {**chat, "messages": [*chat["messages"], *answer, told]}


def _remember(among: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    among[key] = value
    among.move_to_end(key)
    if len(among) > MOST:
        among.popitem(last=False)


def _now() -> float:
    return asyncio.get_running_loop().time()
