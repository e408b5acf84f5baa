"""The declared form of a decision: what ``routing.table`` tells, field by field."""

from rest_framework import serializers

from monitoring.vitals import Circuit
from routing.statements import AttemptSerializer


class CandidatePricingSerializer(serializers.Serializer):
    prompt = serializers.CharField(help_text="₽ за 1000 токенов.")
    completion = serializers.CharField(help_text="₽ за 1000 токенов.")
    request = serializers.CharField(help_text="₽ за запрос.")


class PredictedSerializer(serializers.Serializer):
    first_token_ms = serializers.IntegerField()
    duration_ms = serializers.IntegerField()
    is_measured = serializers.BooleanField(help_text="false — замеров ещё нет, это обычные значения.")


class HealthSerializer(serializers.Serializer):
    circuit = serializers.ChoiceField(list(Circuit))
    success_rate = serializers.FloatField()
    attempts = serializers.IntegerField(help_text="За 5 минут.")
    recent_failures = serializers.IntegerField(help_text="За 30 секунд.")


class ScoreSerializer(serializers.Serializer):
    """Each part is from 0 to 1; ``total`` is their weighted sum."""

    total = serializers.FloatField()
    quality = serializers.FloatField()
    price = serializers.FloatField()
    speed = serializers.FloatField()
    health = serializers.FloatField()


class CandidateSerializer(serializers.Serializer):
    position = serializers.IntegerField()
    model = serializers.CharField()
    provider = serializers.CharField()
    is_twin = serializers.BooleanField()
    pricing = CandidatePricingSerializer()
    expected_cost = serializers.FloatField(help_text="Скорее всего, ₽.")
    max_cost = serializers.FloatField(help_text="Самое большее, ₽.")
    max_tokens = serializers.IntegerField()
    predicted = PredictedSerializer()
    health = HealthSerializer()
    step_back = serializers.ChoiceField(
        ["none", "short", "slow", "shaky", "down"], help_text="Почему стоит позади других."
    )
    chance = serializers.FloatField(
        allow_null=True,
        help_text="С какой вероятностью выпадает первым; null — жребия не было или он не по ценам для вас.",
    )
    score = ScoreSerializer(allow_null=True, help_text="Для xrouter/auto.")


class ExcludedSerializer(serializers.Serializer):
    model = serializers.CharField()
    provider = serializers.CharField()
    is_twin = serializers.BooleanField()
    rule = serializers.CharField(help_text="Единственное правило, по которому исключён.")
    message = serializers.CharField()


class RouteSerializer(serializers.Serializer):
    """Who is asked, in which order and why; who is not, and why."""

    strategy = serializers.ChoiceField(["draw", "order", "price", "throughput", "latency", "auto"])
    task = serializers.CharField(allow_null=True, help_text="Вид задачи для xrouter/auto.")
    cues = serializers.ListField(
        child=serializers.CharField(), help_text="По каким признакам он определён, главные раньше."
    )
    seed = serializers.CharField()
    snapshot = serializers.CharField(help_text="Версия каталога.")
    candidates = CandidateSerializer(many=True)
    excluded = ExcludedSerializer(many=True)


class RouteAnswerSerializer(serializers.Serializer):
    data = RouteSerializer()


class GenerationRouteSerializer(RouteSerializer):
    id = serializers.CharField()
    model = serializers.CharField(help_text="Кто ответил; пусто, если никто.")
    provider = serializers.CharField()
    attempts = AttemptSerializer(many=True)
    is_identical = serializers.BooleanField(
        help_text="false — правила с тех пор изменились: порядок тот, что был, причины — нынешние."
    )


class GenerationRouteAnswerSerializer(serializers.Serializer):
    data = GenerationRouteSerializer()
