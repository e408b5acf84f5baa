"""``POST /v1/embeddings`` through Django REST framework, and its declaration in the published schema."""

from typing import Any, Literal

from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from msgspec import UNSET, Struct, UnsetType
from rest_framework.request import Request

from routing import plane
from routing.embeddings.reading import EmbeddingsRequest
from routing.envelope import ENVELOPES
from routing.rest import V1View, arrival_of, response_of
from routing.schema import ELSEWHERE, Trace, components, reference, refusals
from routing.schema_examples import VECTORS, VECTORS_ANSWER, answered, asked
from routing.schema_rules import published


class Embedding(Struct):
    """``embedding`` is base64 of little-endian float32 where ``encoding_format`` says so."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsCost(Struct):
    prompt_cost: float
    request_cost: float
    currency: Literal["RUB"]
    usage_source: Literal["provider", "estimated"]
    upstream_inference_cost: None
    limited_by: Literal["balance", "key_limit"] | UnsetType = UNSET


class EmbeddingsUsage(Struct):
    prompt_tokens: int
    total_tokens: int
    cost: float
    cost_details: EmbeddingsCost


class EmbeddingList(Struct):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    id: str
    provider: str | None
    usage: EmbeddingsUsage
    xrouter: Trace | UnsetType = UNSET


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
        examples=[*asked(VECTORS), *answered(VECTORS_ANSWER)],
        tags=["embeddings"],
    )
    def post(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Векторы текстов, для поиска по смыслу и сравнения."""
        return response_of(async_to_sync(plane.current().desk.embeddings)(arrival_of(request._request)))


def add_embeddings(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: the components that ``Embeddings`` points to."""
    requests = published(components(EmbeddingsRequest))
    result["components"]["schemas"].update({**components(EmbeddingList), **requests})
    return result
