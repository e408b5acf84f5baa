"""``/v1`` through Django REST framework: the same desk as the express lane, for when the lane is off."""

from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from routing import plane
from routing.desk import Arrival, Reply


class ChatCompletions(APIView):
    """Chat with a model, streamed or not."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        return _response(async_to_sync(plane.current().desk.chat)(_arrival(request)))


def _arrival(request: Request) -> Arrival:
    body = request._request.body

    async def read_body() -> bytes:
        return body

    headers = {name.lower(): value for name, value in request.headers.items()}
    return Arrival(headers, request.META.get("REMOTE_ADDR", ""), read_body)


def _response(reply: Reply) -> HttpResponse | StreamingHttpResponse:
    if reply.events is not None:
        return StreamingHttpResponse(reply.events, status=reply.status, headers=reply.headers)
    return HttpResponse(reply.body, status=reply.status, headers=reply.headers)
