"""What ``GET /v1/models/{id}/capabilities`` says, and its declared form."""

from typing import Any

from rest_framework import serializers

from accounts.callers import Caller
from routing import texts
from routing.listing import listing
from routing.matrix import BEST_FIRST, best_of


def model_capabilities(name: str, reader: Caller | None = None) -> dict[str, Any]:
    """The matrix of a model, under any of its names. Raises UnknownModel."""
    found = listing(name, reader)
    endpoints = [
        {"provider": route.upstream.slug, "model": route.model, "capabilities": matrix}
        for route, matrix in zip(found.routes(), found.matrices(), strict=True)
    ]
    return {
        "id": found.model.slug,
        "name": found.model.name,
        "capabilities": best_of(each["capabilities"] for each in endpoints),
        "completions": {} if found.embeds else texts.FIELDS,
        "endpoints": endpoints,
    }


# --- The shape -----------------------------------------------------------------------------------------


class Matrix(serializers.DictField):
    """By the path of the field."""

    child = serializers.ChoiceField([str(support) for support in BEST_FIRST])


class EndpointCapabilitiesSerializer(serializers.Serializer):
    provider = serializers.CharField()
    model = serializers.CharField()
    capabilities = Matrix()


class CapabilitiesSerializer(serializers.Serializer):
    """``exact``, ``emulated``, ``dropped`` (named in x-xrouter-dropped) or ``refused``."""

    id = serializers.CharField()
    name = serializers.CharField()
    capabilities = Matrix(help_text="Лучшее из того, что есть у исполнителей.")
    completions = Matrix(help_text="Поля, которые есть только у /v1/completions; у модели векторов их нет.")
    endpoints = EndpointCapabilitiesSerializer(many=True)


class CapabilitiesAnswerSerializer(serializers.Serializer):
    data = CapabilitiesSerializer()
