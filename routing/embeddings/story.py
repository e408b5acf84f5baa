"""The story of a request for vectors: plan, admit, embed, settle. As for a chat, with an answer in parts.

All vectors of an answer come from one endpoint: where another one takes over, it begins anew.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from accounts.callers import Caller
from providers.adapters import ADAPTERS
from providers.errors import ContextTooLong, UpstreamError
from providers.transports.aio import Transport
from providers.wire import Target, Texts
from routing.admission import Admission
from routing.attempts import Attempts
from routing.call import Call
from routing.embeddings.answers import Part, part, whole
from routing.embeddings.ticket import EmbeddingsTicket
from routing.errors import BadRequest, NoRoute, TextTooLong
from routing.exclusions import LONGEST_TOKEN, can_resize
from routing.meter import measure_texts
from routing.planner import Planner
from routing.policy import Question, decide
from routing.search import Attempt
from routing.ticket import new_id

FIXED_WIDTH = "Поле dimensions: эта модель даёт векторы только одного размера; уберите поле."


class Embedder:
    """One per web worker. Holds no state of a request."""

    def __init__(
        self, planner: Planner, transport: Transport, attempts: Attempts, admission: Admission
    ) -> None:
        self._planner = planner
        self._transport = transport
        self._attempts = attempts
        self._admission = admission

    async def admit(self, caller: Caller, asked: Texts, call: Call) -> EmbeddingsTicket:
        """Let the request in: its limits are counted, its money is on hold.

        Raises BadRequest, and what ``Gateway.admit`` raises.
        """
        number = new_id()
        question = self._planner.text_question(caller, asked, measure_texts(asked["input"]), number.hex)
        _check(asked, question)
        decision = decide(question)
        if not decision.places:
            raise NoRoute(decision.reasons)
        ticket = EmbeddingsTicket(caller, asked, call, question, decision, number=number)
        await self._admission.enter(ticket)
        return ticket

    async def embed(self, ticket: EmbeddingsTicket) -> dict[str, Any]:
        """The whole answer. Raises NobodyAnswered or Rejected."""
        try:
            work = _Work(self._transport, ticket)
            parts = await self._attempts.first_to_answer(ticket, work.ask)
            self._attempts.give_back(ticket)
            ticket.embedded(parts)
            self._attempts.note(ticket, duration=ticket.watch.answer_seconds)
            return whole(ticket, parts)
        except BaseException as exc:
            ticket.failed(exc)
            raise
        finally:
            await self._admission.settle(ticket)  # also when the customer hangs up


class _Work:
    """One request's texts. What an endpoint has done of them is kept for when it is asked again."""

    def __init__(self, transport: Transport, ticket: EmbeddingsTicket) -> None:
        self._transport = transport
        self._ticket = ticket
        self._asked = ticket.chat
        self._done: dict[int, list[Part]] = {}  # by endpoint

    async def ask(self, attempt: Attempt) -> list[Part]:
        """All parts, one after another: the endpoint has given us one place."""
        target = attempt.target()
        done = self._done.setdefault(attempt.route.endpoint_id, [])
        for first, asked in self._parts(attempt.route.upstream.adapter, target, len(done)):
            done.append(await self._part(asked, first, attempt, target))
            self._ticket.parts += 1
            # A connection of its own is made once: hundreds of them would be as many handshakes.
            attempt = replace(attempt, is_fresh=False)
        return done

    def _parts(self, adapter: str, target: Target, done: int) -> Iterator[tuple[int, Texts]]:
        """The requests that are left, each with the number of its first text."""
        texts, size = self._asked["input"], ADAPTERS[adapter].texts_at_once(target)
        for first in range(done * size, len(texts), size):
            yield first, {**self._asked, "input": texts[first : first + size]}

    async def _part(self, asked: Texts, first: int, attempt: Attempt, target: Target) -> Part:
        upstream = attempt.route.upstream
        adapter = ADAPTERS[upstream.adapter]
        how: Any = {"by": attempt.deadline, "is_fresh": attempt.is_fresh}
        response = await self._transport.complete(adapter.embeddings_request(asked, target), upstream, **how)
        if response.status != 200:
            raise _about_texts(adapter.failure(response))
        return part(adapter.embeddings(response, asked), first)


def _about_texts(failure: UpstreamError) -> UpstreamError:
    """The same without words about messages and answers, which only chats have."""
    if type(failure) is not ContextTooLong:
        return failure
    return ContextTooLong(TextTooLong.said, detail=failure.detail)


def _check(asked: Texts, question: Question) -> None:
    """Raises BadRequest for what no endpoint of the model can do."""
    [group] = question.groups
    if question.needs.resizes and not any(map(can_resize, group.routes)):
        raise BadRequest(FIXED_WIDTH, param="dimensions")
    longest = max((route.context_length for route in group.routes), default=0)
    if longest and question.needs.size.longest > longest * LONGEST_TOKEN:
        lengths = [len(text) for text in asked["input"]]
        raise TextTooLong(longest, lengths.index(max(lengths)) if len(lengths) > 1 else None)
