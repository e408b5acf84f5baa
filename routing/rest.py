"""What all addresses of ``/v1`` have in common that go through Django: a request as the desk takes it, and
refusals in the envelope.
"""

import logging
from contextlib import suppress
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework import exceptions as framework
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.callers import Caller
from accounts.errors import AccessDenied, MissingKey
from monitoring.logs import report_bug
from routing import plane
from routing.call import Call, call_from
from routing.desk import OPEN, Arrival, Reply, refusal
from routing.errors import (
    BadRequest,
    NoSuchAddress,
    NotJson,
    RequestError,
    TooManyBytes,
    Unavailable,
    UnknownGeneration,
    WrongMethod,
)
from routing.reading import MAX_BYTES
from routing.stalled import Unstalled

log = logging.getLogger(__name__)

# What a browser asks before it sends a request from another site's page.
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "*, Authorization",
    "access-control-max-age": "86400",
}


class OnlyJson(BaseContentNegotiation):
    """There is nothing to choose: whatever a client says it accepts, it gets JSON."""

    def select_parser(self, request: Request, parsers: list[Any]) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: list[Any], format_suffix: str = "") -> Any:
        return renderers[0], renderers[0].media_type


class V1View(APIView):
    """An address of the API: open to any site's pages, and its refusals are the envelope's."""

    content_negotiation_class = OnlyJson

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.call = call_of(request)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(status=204, headers=PREFLIGHT)

    def handle_exception(self, exc: Exception) -> HttpResponse:
        if isinstance(exc, framework.MethodNotAllowed):
            # What only browsers ask is no advice to a programmer.
            exc = WrongMethod([method for method in self.allowed_methods if method != "OPTIONS"])
        return refused(exc, self.call)

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> Any:
        for name, value in {**OPEN, "x-request-id": self.call.request_id}.items():
            response.headers.setdefault(name, value)
        return super().finalize_response(request, response, *args, **kwargs)


class OpenView(V1View):
    """What may be read without a key. One that is shown has to be in force: programs check theirs here.

    ``reader``: whose it is; what is for some clients only is for nobody else to read.
    """

    reader: Caller | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        if "Authorization" in request.headers or "X-Api-Key" in request.headers:
            with suppress(MissingKey):  # a login of another kind, or an empty one
                self.reader = bearer_of(request)


def named_generation(request: Request) -> str:
    """The generation a query names. Raises BadRequest, and UnknownGeneration where it names several."""
    names = request.query_params.getlist("id")
    if not any(names):
        raise BadRequest("Укажите номер генерации: ?id=gen-…", param="id")
    if len(names) > 1:
        raise UnknownGeneration
    return names[0]


def call_of(request: HttpRequest) -> Call:
    """The circumstances of a request that did not come to the desk."""
    return call_from(request.headers, request.META.get("REMOTE_ADDR", ""))


def caller_of(request: Request) -> Caller:
    """Who is calling, by the same key and the same rules as for chat. Raises AccessDenied."""
    caller = bearer_of(request)
    caller.check_that_it_asks()
    return caller


def bearer_of(request: Request) -> Caller:
    """Who is calling, also with a key that asks no model. Raises AccessDenied."""
    return plane.current().desk.caller(arrival_of(request._request))


def arrival_of(request: HttpRequest, caller: Caller | None = None) -> Arrival:
    """A request that came through Django, as the desk takes it. ``caller``: who it is, if that is known."""

    async def read_body() -> bytes:
        try:
            return request.body
        except RequestDataTooBig:
            raise TooManyBytes(MAX_BYTES) from None

    headers = {name.lower(): value for name, value in request.headers.items()}
    return Arrival(headers, request.META.get("REMOTE_ADDR", ""), read_body, caller)


def refused(exc: Exception, call: Call) -> HttpResponse:
    """The envelope that reports ``exc``; what is no fault of the customer's is logged."""
    ours = _in_our_words(exc)
    if not isinstance(ours, AccessDenied | RequestError):
        report_bug(log, ours, request_id=call.request_id)
    return response_of(refusal(ours, call))


def _in_our_words(exc: Exception) -> Exception:
    match exc:
        case Http404() | framework.NotFound():
            return NoSuchAddress()
        case DatabaseError():
            return Unavailable()
        case framework.UnsupportedMediaType():
            return NotJson()
        case framework.ParseError():
            return BadRequest()
    return exc


def response_of(reply: Reply) -> HttpResponse | StreamingHttpResponse:
    """The desk's reply as Django sends it."""
    if reply.events is not None:
        return StreamingHttpResponse(Unstalled(reply.events), status=reply.status, headers=reply.headers)
    return HttpResponse(reply.body, status=reply.status, headers=reply.headers)
