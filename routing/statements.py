"""What customers read of their own: a key, one generation, the wallet. The declared form of the answers.

Never what a generation costs us, never anything of another client.
"""

import re
from dataclasses import fields
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.models import Plan
from billing.models import Generation, GenerationStatus, Reset, UsageSource
from billing.money import Micro, as_number
from billing.pricing import PER_ROUBLE, Explanation, Line, Price, explanation
from routing.errors import UnknownGeneration
from routing.listing import Price as PriceField
from routing.listing import RequestPrice, plain
from routing.table import told_attempts

# ``gen-`` and 32 hexadecimal digits, as answers have it; the number alone, as databases write it.
NAME = re.compile(
    r"(?:gen-)?([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.IGNORECASE
)
# What a line of a bill is for.
KINDS = {
    "prompt": _("токены запроса"),
    "cached_prompt": _("токены запроса из кеша"),
    "completion": _("токены ответа"),
    "reasoning": _("токены рассуждений"),
    "request": _("за запрос"),
}


class Record:
    """A generation as its owner may see it."""

    def __init__(self, row: Generation) -> None:
        self.row = row

    @property
    def id(self) -> str:
        return f"gen-{self.row.id.hex}"

    @property
    def generation_time(self) -> int:
        """Milliseconds without our own share."""
        return max(0, round(self.row.duration_ms - (self.row.overhead_ms or 0)))

    @property
    def attempts(self) -> list[dict[str, Any]]:
        return told_attempts(self.row.attempts)

    @cached_property
    def cost_details(self) -> Explanation | None:
        """How the cost came about; None where that was not recorded."""
        row = self.row
        if not row.price:
            return None
        usage = {
            "prompt_tokens": row.tokens_prompt,
            "completion_tokens": row.tokens_completion,
            "prompt_tokens_details": {"cached_tokens": row.tokens_cached},
            "completion_tokens_details": {"reasoning_tokens": row.tokens_reasoning},
        }
        return explanation(_price(row.price), usage, cost=row.cost, held=row.held)


def record(client_id: int, name: str) -> Record:
    """The client's generation that answers call ``name``. Raises UnknownGeneration."""
    found = NAME.fullmatch(name)
    if found is None:
        raise UnknownGeneration
    mine = Generation.objects.filter(pk=UUID(found[1]), client=client_id).select_related("key").first()
    if mine is None:
        raise UnknownGeneration
    return Record(mine)


def _price(recorded: dict[str, Micro]) -> Price:
    # History: a kind of price may have come since, or gone.
    return Price(**{kind.name: recorded.get(kind.name, 0) for kind in fields(Price)})


# --- The shape -----------------------------------------------------------------------------------


class Roubles(serializers.FloatField):
    """Roubles as a number, exact to the micro-rouble."""

    def to_representation(self, micro: Micro) -> float:
        return as_number(micro)


class OrNull(serializers.CharField):
    """A text that may be missing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, text: str) -> str | None:
        return text or None


class ExactCost(serializers.CharField):
    """Roubles as a decimal string, before rounding."""

    def to_representation(self, cost: int) -> str:
        return plain(Decimal(cost) / PER_ROUBLE)


class LinePrice(PriceField):
    """For 1,000 tokens; for the request where no tokens are counted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(source="*", **kwargs)

    def to_representation(self, line: Line) -> str:
        if line.tokens is None:
            return RequestPrice().to_representation(line.price)
        return super().to_representation(line.price)


class RateLimitSerializer(serializers.Serializer):
    requests = serializers.IntegerField(help_text="Сколько запросов принимается за interval.")
    interval = serializers.ChoiceField(["1s", "1m"], help_text="Секунда или минута.")


class KeySerializer(serializers.Serializer):
    """A key: what it has spent and may still spend."""

    label = serializers.CharField(source="key.label", help_text="Название ключа.")
    client = serializers.CharField(source="key.client.name", help_text="Организация, которой он выдан.")
    plan = serializers.ChoiceField(Plan.choices, source="key.client.plan", help_text="Тариф организации.")
    is_free_tier = serializers.BooleanField(help_text="Бесплатный ли тариф.")
    is_test = serializers.BooleanField(help_text="Тестовый ли ключ: на его запросы отвечают двойники.")
    expires_at = serializers.DateTimeField(
        source="key.expires_at",
        allow_null=True,
        help_text="Когда ключ перестанет работать; null — бессрочный.",
    )
    usage = Roubles(help_text="Списано за запросы с этим ключом за всё время, ₽. Возвраты не вычитаются.")
    usage_daily = Roubles(help_text="Из них сегодня, ₽. День начинается в полночь по Москве (Europe/Moscow).")
    usage_weekly = Roubles(help_text="С понедельника, 00:00 по Москве, ₽.")
    usage_monthly = Roubles(help_text="С первого числа, 00:00 по Москве, ₽.")
    limit = Roubles(allow_null=True, help_text="Предел расходов ключа, ₽; null — предела нет.")
    limit_remaining = Roubles(
        allow_null=True,
        help_text="Остаток предела, ₽: без списанного за период и зарезервированного под запросы в работе.",
    )
    limit_reset = serializers.ChoiceField(
        Reset.choices, help_text="Как часто предел считается заново: в полночь по Москве, или никогда."
    )
    limit_resets_at = serializers.DateTimeField(
        allow_null=True, help_text="Когда предел начнётся заново; null — никогда."
    )
    rate_limit = RateLimitSerializer(help_text="Как часто организация может обращаться к моделям.")


class CreditsSerializer(serializers.Serializer):
    """A client's wallet at one moment."""

    total_credits = Roubles(help_text="Зачислено за всё время: пополнения, промокоды, исправления, ₽.")
    total_usage = Roubles(help_text="Списано за генерации, за вычетом возвратов, ₽.")
    balance = Roubles(help_text="Остаток: total_credits − total_usage, ₽.")
    held = Roubles(help_text="Из остатка зарезервировано под запросы в работе, ₽.")
    available = Roubles(help_text="Можно потратить: balance + credit_limit − held, ₽.")
    credit_limit = Roubles(help_text="Овердрафт, ₽.")
    currency = serializers.ChoiceField(["RUB"], default="RUB", read_only=True)


class AttemptSerializer(serializers.Serializer):
    provider = serializers.CharField()
    outcome = serializers.CharField(help_text="ok, cancelled или код ошибки.")
    is_twin = serializers.BooleanField(help_text="Отвечал ли двойник вместо провайдера.")
    ms = serializers.IntegerField(help_text="Миллисекунд.")
    repairs = serializers.IntegerField(
        required=False,
        help_text="Сколько раз модель спросили заново, потому что ответ не подходил под response_format.",
    )


class CostLineSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(["prompt", "cached_prompt", "completion", "reasoning", "request"])
    tokens = serializers.IntegerField(allow_null=True, help_text="null — платится за сам запрос.")
    price = LinePrice(help_text="₽ за 1000 токенов (для request — за запрос), цена при приёме запроса.")
    cost = ExactCost(help_text="₽ до округления.")


class CostDetailsSerializer(serializers.Serializer):
    lines = CostLineSerializer(many=True, help_text="Пусто, если за генерацию ничего не взято.")
    sum = ExactCost(source="cost", help_text="Сумма строк до округления, ₽.")
    capped = serializers.BooleanField(
        source="is_capped", help_text="Списано меньше суммы: не больше, чем было зарезервировано."
    )


class KeyNameSerializer(serializers.Serializer):
    label = serializers.CharField(help_text="Название.")
    prefix = serializers.CharField(help_text="Начало ключа; самого ключа у нас нет.")


class GenerationSerializer(serializers.Serializer):
    """The record of a request: what was asked, who answered, what it cost and why."""

    id = serializers.CharField()
    model = serializers.CharField(source="row.model", help_text="Кто отвечал; пусто, если никто.")
    model_requested = serializers.CharField(source="row.model_requested")
    provider = serializers.CharField(source="row.provider", help_text="Пусто, если никто не ответил.")
    created_at = serializers.DateTimeField(source="row.created_at", help_text="Когда запрос принят.")
    settled_at = serializers.DateTimeField(
        source="row.settled_at", allow_null=True, help_text="Когда он рассчитан."
    )
    status = serializers.ChoiceField(GenerationStatus.choices, source="row.status")
    streamed = serializers.BooleanField(source="row.streamed")
    cancelled = serializers.BooleanField(source="row.cancelled", help_text="Клиент ушёл, не дождавшись.")
    is_test = serializers.BooleanField(source="row.is_test")
    http_status = serializers.IntegerField(source="row.http_status", help_text="0, если ответа не было.")
    error_type = OrNull(source="row.error_type", help_text="Код ошибки.")
    finish_reason = OrNull(source="row.finish_reason")
    native_finish_reason = OrNull(source="row.native_finish_reason", help_text="То же словами провайдера.")
    tokens_prompt = serializers.IntegerField(source="row.tokens_prompt")
    tokens_completion = serializers.IntegerField(source="row.tokens_completion")
    tokens_cached = serializers.IntegerField(
        source="row.tokens_cached", help_text="Сколько из tokens_prompt взято из кеша."
    )
    tokens_reasoning = serializers.IntegerField(
        source="row.tokens_reasoning", help_text="Сколько из tokens_completion ушло на рассуждения."
    )
    usage_source = serializers.ChoiceField(
        UsageSource.choices, source="row.usage_source", help_text="Кто считал токены."
    )
    total_cost = Roubles(source="row.cost", help_text="Списано, ₽.")
    cost_details = CostDetailsSerializer(
        allow_null=True, help_text="Из чего сложилось total_cost; null, если цена не записана."
    )
    held = Roubles(source="row.held", help_text="Было зарезервировано, ₽.")
    refunded = Roubles(source="row.refunded", help_text="Возвращено потом из total_cost, ₽.")
    latency = serializers.IntegerField(
        source="row.first_token_ms", allow_null=True, help_text="До первого токена потока, мс."
    )
    generation_time = serializers.IntegerField(help_text="Время запроса без нашей доли, мс.")
    duration_ms = serializers.IntegerField(source="row.duration_ms", help_text="Всё время запроса, мс.")
    upstream_ms = serializers.IntegerField(
        source="row.upstream_ms", allow_null=True, help_text="До ответа провайдера, все попытки вместе, мс."
    )
    overhead_ms = serializers.FloatField(
        source="row.overhead_ms", allow_null=True, help_text="Наша доля времени, мс; у потоков — null."
    )
    attempts = AttemptSerializer(many=True, help_text="Кого спрашивали, по порядку.")
    dropped_fields = serializers.ListField(
        child=serializers.CharField(),
        source="row.dropped_fields",
        help_text="Поля, которых провайдер не знает.",
    )
    request_id = serializers.CharField(source="row.request_id")
    client_request_id = OrNull(source="row.client_request_id", help_text="Ваш X-Request-Id.")
    session_id = OrNull(source="row.session_id")
    user = OrNull(source="row.user", help_text="Поле user запроса.")
    key = KeyNameSerializer(source="row.key", allow_null=True, help_text="null, если ключ удалён.")


class KeyAnswerSerializer(serializers.Serializer):
    data = KeySerializer()


class CreditsAnswerSerializer(serializers.Serializer):
    data = CreditsSerializer()


class GenerationAnswerSerializer(serializers.Serializer):
    data = GenerationSerializer()
