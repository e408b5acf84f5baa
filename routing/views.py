"""``/v1`` through Django REST framework: models, what a key's owner may know of his own, the schema, and chat
for when the express lane is off.
"""

from functools import cache
from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone, translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from billing.statements import key_statement, wallet_statement
from routing import plane
from routing.errors import (
    NoSuchAddress,
    NotYet,
)
from routing.listing import ModelListSerializer, ModelSerializer, listing, listings
from routing.parameters import ParametersAnswerSerializer, model_parameters
from routing.rest import OpenView, V1View, arrival_of, bearer_of, caller_of, named_generation, response_of
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
from routing.statements import (
    CreditsAnswerSerializer,
    GenerationAnswerSerializer,
    KeyAnswerSerializer,
    record,
)

BY_NAME = OpenApiParameter(
    "model",
    str,
    OpenApiParameter.PATH,
    description="Имя, в том числе с `/` и `:`; окончание `:floor`, `:nitro` или `:free` не мешает.",
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
    with translation.override("ru"):  # Spectacular lets readers ask for another language
        return bytes(renderer().render(SchemaGenerator().get_schema(public=True)))


class Nowhere(V1View):
    """Every other address below ``/v1``."""

    schema = None

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> None:
        first = request.path.removeprefix("/v1/").partition("/")[0]
        raise NotYet(f"/v1/{first}", NOT_YET[first]) if first in NOT_YET else NoSuchAddress


def _names(request: Request, parameter: str) -> set[str]:
    """The comma-separated names in a query parameter, in lower case."""
    return {
        name.strip().lower() for name in request.query_params.get(parameter, "").split(",") if name.strip()
    }
