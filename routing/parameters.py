"""What ``GET /v1/parameters/{modelId}`` says, and its declared form."""

from typing import Any

from rest_framework import serializers

from accounts.callers import Caller
from billing.models import SamplingMedian
from billing.sampling import DAYS
from routing.listing import ASSUMED, listing
from routing.needs import SAMPLING

NOT_OF_VECTORS = "Нет у модели векторов."


def model_parameters(name: str, reader: Caller | None = None) -> dict[str, Any]:
    """A model's parameters, and what they are usually set to. Raises UnknownModel."""
    found = listing(name, reader)
    supported = found.supported_parameters
    medians = {each.parameter: each for each in SamplingMedian.objects.fresh().filter(model=found.model.slug)}
    # There is nothing to be sampled in vectors; of answers in words one parameter may be missing.
    known = () if found.embeds else SAMPLING
    told = [each for each in known if each != "top_p" or each in supported]
    measured = {each: medians[each] for each in told if each in medians and each in supported}
    defaults = {each: float(found.model.default_parameters.get(each, ASSUMED)) for each in told}
    values = {each: measured[each].value if each in measured else defaults[each] for each in told}
    return {
        "model": found.model.slug,
        "supported_parameters": supported,
        **{f"{each}_p50": value for each, value in values.items()},
        "source": {f"{each}_p50": "measured" if each in measured else "default" for each in told},
        "requests": {f"{each}_p50": median.requests for each, median in measured.items()},
        "days": DAYS,
    }


# --- The shape -----------------------------------------------------------------------------------------


class ParametersSerializer(serializers.Serializer):
    """Medians of what clients ask of the model, the model's defaults where there is not enough to tell."""

    model = serializers.CharField()
    supported_parameters = serializers.ListField(child=serializers.CharField())
    temperature_p50 = serializers.FloatField(required=False, help_text=NOT_OF_VECTORS)
    top_p_p50 = serializers.FloatField(required=False, help_text="Нет, если модель не знает top_p.")
    repetition_penalty_p50 = serializers.FloatField(required=False, help_text=NOT_OF_VECTORS)
    source = serializers.DictField(
        child=serializers.ChoiceField(["measured", "default"]),
        help_text="measured — измерено по запросам; default — значение модели по умолчанию.",
    )
    requests = serializers.DictField(
        child=serializers.IntegerField(), help_text="По скольким запросам измерено."
    )
    days = serializers.IntegerField(help_text="За сколько последних дней.")


class ParametersAnswerSerializer(serializers.Serializer):
    data = ParametersSerializer()
