"""What ``/v1/keys`` answers, and what the published schema says and shows of it."""

import re
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from accounts.errors import ManagesNothing, TooManyChanges
from accounts.keys import PREFIX_LENGTH
from accounts.models import LIMITS
from routing.errors import KeyAlreadyMade, KeyConflict, UnknownKey
from routing.key_shape import KeyChange, KeyRotation, NewKey
from routing.schema import OF_BODIES, OF_KEYS, components, reference, refusals
from routing.schema_examples import KEY, Json
from routing.schema_rules import published
from routing.statements import KeySerializer

ID = "xr-live-Ab3dE6gH"
_ID = re.compile(rf"xr-[a-z]{{4}}-[0-9A-Za-z]{{{PREFIX_LENGTH - len('xr-live-')}}}")


def is_id(text: str) -> bool:
    """Whether ``text`` may be the beginning of a key."""
    return _ID.fullmatch(text) is not None


# --- Answers -------------------------------------------------------------------------------------


class ManagedKeySerializer(KeySerializer):
    """A key as whoever manages it sees it."""

    client = plan = is_free_tier = rate_limit = None
    id = serializers.CharField(source="key.prefix", help_text="Начало ключа: им ключ называется.")
    hash = serializers.CharField(source="key.prefix", help_text="То же, что id, как у OpenRouter.")
    name = serializers.CharField(source="key.label", help_text="То же, что label, как у OpenRouter.")
    disabled = serializers.SerializerMethodField(help_text="Отключён ли ключ; истёкший — не отключённый.")
    created_at = serializers.DateTimeField(source="key.created_at", help_text="Когда создан.")
    last_used_at = serializers.DateTimeField(
        source="key.last_used_at", allow_null=True, help_text="Последний запрос; null — не было."
    )
    allowed_models = serializers.ListField(
        child=serializers.CharField(), source="key.allowed_models", help_text="Пусто — все."
    )
    allowed_addresses = serializers.ListField(
        child=serializers.CharField(), source="key.allowed_addresses", help_text="Пусто — любые."
    )
    replaced_by = serializers.CharField(
        source="key.successor.prefix",
        allow_null=True,
        default=None,
        help_text="id ключа, который его заменил.",
    )

    def get_fields(self) -> dict[str, Any]:
        words = "Лимит этого ключа; null — без него."
        limits = {
            name: serializers.IntegerField(source=f"key.{name}", allow_null=True, help_text=words)
            for name in LIMITS
        }
        return {**super().get_fields(), **limits}

    def get_disabled(self, statement: Any) -> bool:
        return statement.key.disabled_at is not None


class ManagedKeyAnswerSerializer(serializers.Serializer):
    data = ManagedKeySerializer()


class NewKeyAnswerSerializer(serializers.Serializer):
    data = ManagedKeySerializer()
    key = serializers.CharField(help_text="Ключ целиком. Больше его не увидеть.")


class KeyListSerializer(serializers.Serializer):
    data = ManagedKeySerializer(many=True)
    has_more = serializers.BooleanField(help_text="Есть ли ещё: тогда after — id последнего.")


class DeletedKeySerializer(serializers.Serializer):
    id = serializers.CharField()
    deleted = serializers.BooleanField(default=True, read_only=True)


# --- What is shown -------------------------------------------------------------------------------

CREATED: dict[str, Json] = {
    "С пределом на месяц": {
        "label": "worker-1",
        "limit": 500,
        "limit_reset": "monthly",
        "expires_at": "2027-01-01T00:00:00+03:00",
        "allowed_models": ["gigachat/pro"],
        "requests_per_minute": 60,
    },
    "Тестовый": {"label": "проверка", "is_test": True},
}
CHANGED: dict[str, Json] = {
    "Другой предел": {"limit": 1000, "limit_reset": "monthly"},
    "Отключить": {"disabled": True},
    "Снять ограничения": {"limit": None, "allowed_models": None, "expires_at": None},
}
ROTATED: dict[str, Json] = {"Час на замену": {"grace_seconds": 3600}}

_KEY: Json = {
    "id": ID,
    "hash": ID,
    "label": "worker-1",
    "name": "worker-1",
    "is_test": False,
    "disabled": False,
    "created_at": "2026-07-14T12:30:05.120000+03:00",
    "last_used_at": None,
    "expires_at": "2027-01-01T00:00:00+03:00",
    **{name: KEY[name] for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly")},
    **{name: KEY[name] for name in ("limit", "limit_remaining", "limit_reset", "limit_resets_at")},
    "allowed_models": ["gigachat/pro"],
    "allowed_addresses": [],
    **dict.fromkeys(LIMITS),
    "requests_per_minute": 60,
    "replaced_by": None,
}
ONE: Json = {"data": _KEY}
LIST: Json = {"data": [_KEY], "has_more": False}
MADE: Json = {"data": _KEY, "key": f"{ID}i9kLmN0pQrStUvWxYz012345-0aB1cD"}
GONE: Json = {"id": ID, "deleted": True}


def shown(body: Json) -> list[OpenApiExample]:
    """``body`` as the reference shows an answer."""
    return [OpenApiExample("Ответ", body, response_only=True, status_codes=["200"])]


# --- What may be answered ------------------------------------------------------------------------

OF_MANAGERS = (*OF_KEYS, ManagesNothing)
OF_CHANGES = (*OF_MANAGERS, *OF_BODIES, TooManyChanges, KeyConflict)

CREATE_REQUEST = {"application/json": reference("NewKey")}
CHANGE_REQUEST = {"application/json": reference("KeyChange")}
ROTATE_REQUEST = {"application/json": reference("KeyRotation")}
LIST_RESPONSES = {200: KeyListSerializer, **refusals(*OF_MANAGERS, UnknownKey)}
KEY_RESPONSES = {200: ManagedKeyAnswerSerializer, **refusals(*OF_MANAGERS, UnknownKey)}
CREATE_RESPONSES = {200: NewKeyAnswerSerializer, **refusals(*OF_CHANGES, KeyAlreadyMade)}
CHANGE_RESPONSES = {200: ManagedKeyAnswerSerializer, **refusals(*OF_CHANGES, UnknownKey)}
DELETE_RESPONSES = {200: DeletedKeySerializer, **refusals(*OF_MANAGERS, TooManyChanges, UnknownKey)}
ROTATE_RESPONSES = {200: NewKeyAnswerSerializer, **refusals(*OF_CHANGES, KeyAlreadyMade, UnknownKey)}


def add_keys(result: Json, **context: Any) -> Json:
    """A postprocessing hook of drf-spectacular: the components that requests point to."""
    result["components"]["schemas"].update(published(components(NewKey, KeyChange, KeyRotation)))
    return result
