"""What customers are told of an answer: its identity, the usage with what it costs, and why it came so."""

from typing import Any

from billing.money import MICRO_PER_ROUBLE
from billing.pricing import cost_details
from providers.wire import Chunk, Completion
from routing import legacy, meter
from routing.emitter import with_thoughts
from routing.table import table, told_attempts
from routing.ticket import Ticket

Json = dict[str, Any]


def identity(ticket: Ticket, kind: str) -> Json:
    """Whose answer it is. ``kind``: what OpenAI calls such an object."""
    route = ticket.route
    return {
        "id": ticket.name,
        "object": kind,
        "created": int(ticket.created_at.timestamp()),
        "model": (route or ticket.quotes[0].route).model,
        "provider": route.upstream.slug if route else None,
        "system_fingerprint": "twin" if route and route.upstream.is_twin else None,
        "service_tier": None,
    }


def head(ticket: Ticket) -> Json:
    """What every chunk of a streamed answer repeats."""
    return identity(ticket, "chat.completion.chunk")


def dressed(ticket: Ticket, completion: Completion) -> Completion:
    """The vendor's completion with everything a client of OpenAI expects around it."""
    if ticket.wants_functions:
        completion = legacy.legacy_completion(completion)
    return {
        **identity(ticket, "chat.completion"),
        "choices": [_whole_choice(choice, ticket) for choice in completion["choices"]],
        "usage": bill(ticket),
        **traced(ticket),
    }


def in_dialect(ticket: Ticket, chunks: list[Chunk]) -> list[Chunk]:
    """The chunks in the form of calls the customer speaks."""
    return [legacy.legacy_chunk(chunk) for chunk in chunks] if ticket.wants_functions else chunks


def bill(ticket: Ticket) -> Json | None:
    """The usage as the customer is told it: with what it costs, in roubles."""
    if ticket.usage is None or ticket.quote is None:
        return ticket.usage
    details = {
        **cost_details(ticket.price, ticket.usage),
        "currency": "RUB",
        "usage_source": ticket.usage_source,
        "upstream_inference_cost": None,
    }
    if ticket.lowered_by:
        details |= {"limited_by": ticket.lowered_by, "max_tokens": ticket.longest}
    told = meter.with_parts(ticket.usage)
    return {**told, "cost": ticket.cost / MICRO_PER_ROUBLE, "cost_details": details}


def trace(ticket: Ticket) -> Json | None:
    """Why the answer comes from where it comes, if the customer wants to know."""
    if not ticket.call.wants_trace:
        return None
    return {
        "generation_id": ticket.name,
        "route": table(ticket.question, ticket.decision),
        "attempts": told_attempts(ticket.attempts),
    }


def traced(ticket: Ticket) -> Json:
    """The same as the part of a whole answer that it is; nothing for those who did not ask."""
    told = trace(ticket)
    return {"xrouter": told} if told else {}


def _whole_choice(choice: Json, ticket: Ticket) -> Json:
    said = with_thoughts(choice["message"], is_hidden=ticket.hides_thoughts)
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **said}
    return {"logprobs": None, **choice, "message": message}
