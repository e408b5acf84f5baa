"""``/v1`` through Django REST framework: how it is decided who answers, and how those do who may."""

from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Generation
from monitoring.vitals import Vitals
from routing import plane
from routing.capabilities import CapabilitiesAnswerSerializer, model_capabilities
from routing.conditions import (
    ModelEndpointsAnswerSerializer,
    StatusesSerializer,
    model_endpoints,
    provider_statuses,
)
from routing.errors import UnknownGeneration
from routing.replay import Unrepeatable, replayed
from routing.rest import OpenView, V1View, arrival_of, caller_of, named_generation, response_of
from routing.route_schema import GenerationRouteAnswerSerializer
from routing.schema import (
    CHAT_REQUEST,
    GENERATION_ROUTE_RESPONSES,
    KEY_OR_NOT,
    OF_MODEL,
    OPEN_RESPONSES,
    PLAN_RESPONSES,
)
from routing.schema_examples import CHATS, asked
from routing.statements import record
from routing.table import told_attempts
from routing.views import BY_ID, BY_NAME


class RoutePlan(V1View):
    @extend_schema(
        operation_id="planRoute",
        request=CHAT_REQUEST,
        responses=PLAN_RESPONSES,
        examples=asked(CHATS),
        tags=["routing"],
    )
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Кто и почему ответил бы на такой запрос. Ничего не стоит и никого не спрашивает.

        Не больше 60 раз в минуту; в лимиты запросов к моделям не входит.
        """
        return response_of(async_to_sync(plane.current().desk.plan)(arrival_of(request._request)))


class GenerationRoute(V1View):
    @extend_schema(
        operation_id="retrieveGenerationRoute",
        responses=GENERATION_ROUTE_RESPONSES,
        tags=["routing"],
        parameters=[BY_ID],
    )
    def get(self, request: Request) -> Response:
        """Как был выбран исполнитель одной генерации, и что вышло."""
        caller = caller_of(request)
        row = record(caller.client_id, named_generation(request)).row
        return Response(GenerationRouteAnswerSerializer({"data": _told(row)}).data)


class ProviderStatus(OpenView):
    @extend_schema(
        operation_id="listProviderStatuses",
        responses={200: StatusesSerializer, **OPEN_RESPONSES},
        auth=KEY_OR_NOT,
        tags=["routing"],
    )
    def get(self, request: Request) -> Response:
        """Состояние провайдеров за последние минуты. Ключ не нужен; неверный — 401."""
        return Response(StatusesSerializer({"data": provider_statuses(_vitals())}).data)


class ModelEndpoints(OpenView):
    @extend_schema(
        operation_id="listModelEndpoints",
        responses={200: ModelEndpointsAnswerSerializer, **OF_MODEL},
        auth=KEY_OR_NOT,
        tags=["models"],
        parameters=[BY_NAME],
    )
    def get(self, request: Request, model: str) -> Response:
        """Исполнители модели: возможности, скорость, доступность. Ключ не нужен; неверный — 401."""
        return Response(
            ModelEndpointsAnswerSerializer({"data": model_endpoints(model, _vitals(), self.reader)}).data
        )


class ModelCapabilities(OpenView):
    @extend_schema(
        operation_id="listModelCapabilities",
        responses={200: CapabilitiesAnswerSerializer, **OF_MODEL},
        auth=KEY_OR_NOT,
        tags=["models"],
        parameters=[BY_NAME],
    )
    def get(self, request: Request, model: str) -> Response:
        """Что станет с каждым полем запроса у каждого исполнителя модели.

        Ключ не нужен; неверный — 401.
        """
        return Response(CapabilitiesAnswerSerializer({"data": model_capabilities(model, self.reader)}).data)


def _vitals() -> dict[int, Vitals]:
    return dict(plane.current().health.latest())


def _told(row: Generation) -> dict[str, Any]:
    try:
        again = replayed(row)
    except Unrepeatable as exc:
        raise UnknownGeneration(str(exc)) from exc
    facts = {"id": f"gen-{row.id.hex}", "model": row.model, "provider": row.provider}
    told = {**again.table(is_public=True), **facts, "is_identical": again.is_identical}
    return {**told, "attempts": told_attempts(row.attempts)}
