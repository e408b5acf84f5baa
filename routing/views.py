"""``/v1`` through Django REST framework: models, what a key's owner may know of his own, the schema, and chat
for when the express lane is off.
"""

import logging
from contextlib import suppress
from functools import cache
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone, translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import exceptions as framework
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import Caller
from accounts.errors import AccessDenied, MissingKey
from billing.statements import key_statement, wallet_statement
from monitoring.logs import report_bug
from routing import plane
from routing.call import Call, call_from
from routing.desk import OPEN, Arrival, Reply, refusal
from routing.errors import (
    BadRequest,
    NoSuchAddress,
    NotJson,
    NotYet,
    RequestError,
    TooManyBytes,
    Unavailable,
    UnknownGeneration,
    WrongMethod,
)
from routing.listing import ModelListSerializer, ModelSerializer, listing, listings
from routing.parameters import ParametersAnswerSerializer, model_parameters
from routing.reading import MAX_BYTES
from routing.schema import (
    CHAT_REQUEST,
    CHAT_RESPONSES,
    CREDITS_RESPONSES,
    GENERATION_RESPONSES,
    KEY_OR_NOT,
    KEY_RESPONSES,
    OF_MODEL,
    OPEN_RESPONSES,
    TEXT_REQUEST,
    TEXT_RESPONSES,
)
from routing.schema_examples import (
    CHATS,
    COMPLETION,
    CREDITS,
    GENERATION,
    GENERATION_ID,
    KEY,
    STREAM,
    TEXT_COMPLETION,
    TEXT_STREAM,
    TEXTS,
    answered,
    asked,
    shown,
)
from routing.stalled import Unstalled
from routing.statements import (
    CreditsAnswerSerializer,
    GenerationAnswerSerializer,
    KeyAnswerSerializer,
    record,
)

log = logging.getLogger(__name__)

# What a browser asks before it sends a request from another site's page.
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "*, Authorization",
    "access-control-max-age": "86400",
}

BY_NAME = OpenApiParameter(
    "model",
    str,
    OpenApiParameter.PATH,
    description="Имя, в том числе с `/` и `:`.",
    examples=[OpenApiExample("Модель", "gigachat/pro")],
)
BY_ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1},
    required=True,
    description="`id` ответа или заголовок `x-generation-id`: `gen-…`.",
    examples=[OpenApiExample("Генерация", GENERATION_ID)],
)


CHAT_INSTEAD = "Те же возможности — у POST /v1/chat/completions."
ONE_BY_ONE = "Отправляйте запросы по одному: POST /v1/chat/completions, POST /v1/embeddings."
# What clients of other APIs ask for, by the first word of the path, and what there is instead.
NOT_YET = {
    "responses": CHAT_INSTEAD + " В LangChain это use_responses_api=False.",
    "messages": CHAT_INSTEAD + " Клиентам Anthropic нужен переводчик на API OpenAI.",
    "batches": ONE_BY_ONE,
    "files": ONE_BY_ONE,
    "assistants": CHAT_INSTEAD,
    "threads": CHAT_INSTEAD,
    **dict.fromkeys(
        ("audio", "images", "moderations", "fine_tuning", "realtime"),
        "Что есть, перечислено на странице /docs/.",
    ),
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
        if "Authorization" in request.headers or "X-Api-Key" in request.headers:
            with suppress(MissingKey):  # a login of another kind, or an empty one
                self.reader = bearer_of(request)


class ChatCompletions(V1View):
    @extend_schema(
        operation_id="createChatCompletion",
        request=CHAT_REQUEST,
        responses=CHAT_RESPONSES,
        examples=[*asked(CHATS), *answered(COMPLETION, STREAM)],
        tags=["chat"],
    )
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Ответ модели на разговор: целиком или, со `stream: true`, событиями."""
        return response_of(async_to_sync(plane.current().desk.chat)(arrival_of(request._request)))


class TextCompletions(V1View):
    @extend_schema(
        operation_id="createCompletion",
        request=TEXT_REQUEST,
        responses=TEXT_RESPONSES,
        examples=[*asked(TEXTS), *answered(TEXT_COMPLETION, TEXT_STREAM)],
        tags=["chat"],
    )
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Продолжение текста: прежняя форма, для программ, которые не знают разговоров."""
        return response_of(async_to_sync(plane.current().desk.text)(arrival_of(request._request)))


class ModelList(OpenView):
    @extend_schema(
        operation_id="listModels",
        responses={200: ModelListSerializer, **OPEN_RESPONSES},
        auth=KEY_OR_NOT,
        tags=["models"],
        parameters=[
            OpenApiParameter("provider", str, description="Только модели этих провайдеров, через запятую."),
            OpenApiParameter(
                "supported_parameters",
                str,
                description="Только модели со всеми этими параметрами, через запятую.",
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Модели, которые можно спрашивать. Ключ не нужен; неверный — 401."""
        providers = _names(request, "provider")
        parameters = _names(request, "supported_parameters")
        fit = [
            each
            for each in listings(self.reader)
            if (not providers or each.model.provider_name.lower() in providers)
            and parameters.issubset(each.supported_parameters)
        ]
        return Response(ModelListSerializer({"data": fit}).data)


class ModelDetail(OpenView):
    @extend_schema(
        operation_id="retrieveModel",
        responses={200: ModelSerializer, **OF_MODEL},
        auth=KEY_OR_NOT,
        tags=["models"],
        parameters=[BY_NAME],
    )
    def get(self, request: Request, model: str) -> Response:
        """Одна модель, под любым из её имён. Ключ не нужен; неверный — 401."""
        return Response(ModelSerializer(listing(model, self.reader)).data)


class ModelParameters(OpenView):
    @extend_schema(
        operation_id="retrieveParameters",
        responses={200: ParametersAnswerSerializer, **OF_MODEL},
        auth=KEY_OR_NOT,
        tags=["models"],
        parameters=[BY_NAME],
    )
    def get(self, request: Request, model: str) -> Response:
        """Параметры модели и их обычные значения: медианы по недавним запросам.

        Ключ не нужен; неверный — 401.
        """
        return Response(ParametersAnswerSerializer({"data": model_parameters(model, self.reader)}).data)


class KeyDetail(V1View):
    @extend_schema(operation_id="retrieveKey", responses=KEY_RESPONSES, examples=shown(KEY), tags=["account"])
    def get(self, request: Request) -> Response:
        """Ключ, с которым вы обращаетесь: сколько потрачено и сколько можно."""
        statement = key_statement(bearer_of(request).key_id, timezone.now())
        return Response(KeyAnswerSerializer({"data": statement}).data)


class Key(KeyDetail):
    """The same at the address that OpenRouter's clients ask."""

    @extend_schema(
        operation_id="retrieveCurrentKey", responses=KEY_RESPONSES, examples=shown(KEY), tags=["account"]
    )
    def get(self, request: Request) -> Response:
        """То же, что `GET /v1/auth/key`."""
        return super().get(request)


class Credits(V1View):
    @extend_schema(
        operation_id="retrieveCredits",
        responses=CREDITS_RESPONSES,
        examples=shown(CREDITS),
        tags=["account"],
    )
    def get(self, request: Request) -> Response:
        """Деньги вашей организации: зачислено, потрачено, осталось."""
        statement = wallet_statement(caller_of(request).client_id)
        return Response(CreditsAnswerSerializer({"data": statement}).data)


class GenerationDetail(V1View):
    @extend_schema(
        operation_id="retrieveGeneration",
        responses=GENERATION_RESPONSES,
        examples=shown(GENERATION),
        tags=["account"],
        parameters=[BY_ID],
    )
    def get(self, request: Request) -> Response:
        """Запись об одном запросе вашей организации, сделанном любым её ключом."""
        caller = caller_of(request)
        found = record(caller.client_id, named_generation(request))
        return Response(GenerationAnswerSerializer({"data": found}).data)


class Schema(V1View, SpectacularJSONAPIView):
    """The OpenAPI document: as all the API says, in Russian, whatever the reader's pages are in."""

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer: type[BaseRenderer] = type(request.accepted_renderer)
        return HttpResponse(_document(renderer), content_type=renderer.media_type)


@cache
def _document(renderer: type[BaseRenderer]) -> bytes:
    # Kept: to make it takes a quarter of a second of CPU, and anybody may ask.
    with translation.override("ru"):
        return bytes(renderer().render(SchemaGenerator().get_schema(public=True)))


class Nowhere(V1View):
    """Every other address below ``/v1``."""

    schema = None

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> None:
        first = request.path.removeprefix("/v1/").partition("/")[0]
        raise NotYet(f"/v1/{first}", NOT_YET[first]) if first in NOT_YET else NoSuchAddress


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


def _names(request: Request, parameter: str) -> set[str]:
    """The comma-separated names in a query parameter, in lower case."""
    return {
        name.strip().lower() for name in request.query_params.get(parameter, "").split(",") if name.strip()
    }


def response_of(reply: Reply) -> HttpResponse | StreamingHttpResponse:
    """The desk's reply as Django sends it."""
    if reply.events is not None:
        return StreamingHttpResponse(Unstalled(reply.events), status=reply.status, headers=reply.headers)
    return HttpResponse(reply.body, status=reply.status, headers=reply.headers)
