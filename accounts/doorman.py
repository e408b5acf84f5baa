"""Notes for the journal who is asking, at the door of everything that passes through Django."""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware

from accounts.callers import sender_of
from accounts.journal import Who, asked_by

Answering = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def note_who_asks(get_response: Answering) -> Answering:
    if not iscoroutinefunction(get_response):
        return partial(_answer, get_response)

    return _answer_later(get_response)


def _answer_later(get_response: Answering) -> Answering:
    async def answer(request: HttpRequest) -> Any:
        token = asked_by.set(partial(who, request))
        try:
            return await get_response(request)
        finally:  # who calls from a thread without a loop gets the context back
            asked_by.reset(token)

    return answer


def _answer(get_response: Answering, request: HttpRequest) -> Any:
    token = asked_by.set(partial(who, request))
    try:
        return get_response(request)
    finally:
        asked_by.reset(token)


def who(request: HttpRequest) -> Who:
    person = getattr(request, "user", None)
    known = person if person is not None and person.is_authenticated else None
    return Who(known, address_of(request), getattr(request, "managing_key", ""))


def address_of(request: HttpRequest) -> str | None:
    """Who is at the other end, as the API sees it; None for a peer without an address."""
    peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
    proxies = [ip_network(text) for text in settings.XROUTER_TRUSTED_PROXIES]
    try:
        return str(ip_address(sender_of(peer, forwarded, proxies)))
    except ValueError:
        return None
