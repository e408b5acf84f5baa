"""``POST /v1/embeddings`` through Django REST framework, and its declaration in the published schema."""

from typing import Any, Literal

import msgspec
from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from msgspec import Struct
from rest_framework.request import Request

from routing import plane
from routing.embeddings.reading import EmbeddingsRequest
from routing.envelope import ENVELOPES
from routing.schema import ELSEWHERE, REF, reference, refusals
from routing.views import V1View, arrival_of, response_of

# What the reference's "Try it out" sends.
EXAMPLE = {"model": "gigachat/embeddings", "input": ["Столица Карелии", "Город на Онежском озере"]}


class Embedding(Struct):
    """``embedding`` is base64 of little-endian float32 where ``encoding_format`` says so."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Struct):
    prompt_tokens: int
    total_tokens: int
    cost: float
    cost_details: dict[str, Any]


class EmbeddingList(Struct):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    id: str
    provider: str | None
    usage: EmbeddingsUsage


class Embeddings(V1View):
    @extend_schema(
        operation_id="createEmbedding",
        request={"application/json": reference("EmbeddingsRequest")},
        responses={
            (200, "application/json"): OpenApiResponse(
                reference("EmbeddingList"), "Векторы в порядке текстов."
            ),
            **refusals(*ENVELOPES.keys() - ELSEWHERE),
        },
        tags=["embeddings"],
    )
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Векторы текстов, для поиска по смыслу и сравнения."""
        return response_of(async_to_sync(plane.current().desk.embeddings)(arrival_of(request._request)))


def add_embeddings(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: the components that ``Embeddings`` points to."""
    shapes = [EmbeddingsRequest, EmbeddingList]
    _, components = msgspec.json.schema_components(shapes, ref_template=REF)
    components["EmbeddingsRequest"]["example"] = EXAMPLE
    result["components"]["schemas"].update(components)
    return result
