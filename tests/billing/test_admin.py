import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.fields import RoublesFormField
from billing.models import Rate
from billing.money import roubles
from tests.builders import make_tariff, operators_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def add_rate(operator: Browser, **prices: str) -> str:
    form = {
        "tariff": make_tariff().pk,
        "starts_at_0": "01.01.2027",
        "starts_at_1": "00:00:00",
        "prompt": "500",
        "completion": "500",
        "request": "0",
        **prices,
    }
    return operator.post(reverse("admin:billing_rate_add"), form, follow=True).content.decode()


def test_a_price_is_typed_in_roubles(operator):
    add_rate(operator, prompt="1200,5", completion="0.000001", cached_prompt="", reasoning="7")

    rate = Rate.objects.latest("starts_at")
    assert (rate.prompt, rate.completion) == (roubles("1200.5"), 1)
    assert (rate.cached_prompt, rate.reasoning, rate.request) == (None, roubles("7"), 0)


def test_a_price_is_shown_in_roubles(operator):
    rate = make_tariff(prompt="1200.5").rates.get()

    page = operator.get(reverse("admin:billing_rate_change", args=[rate.pk])).content.decode()

    assert 'value="1200.5"' in page


@pytest.mark.parametrize("price", ["0.0000001", "много", "-1", "NaN", ""])
def test_a_price_that_is_none_is_refused(operator, price):
    add_rate(operator, prompt=price)

    assert Rate.objects.count() == 1


@pytest.mark.parametrize(
    ("before", "typed", "changed"),
    [
        (1_200_500_000, "1200.5", False),
        (1_200_500_000, "1200,50", False),
        (1_200_500_000, "1200", True),
        (1_200_500_000, "", True),
        (1_200_500_000, "много", True),
        (None, "", False),
        (0, "0", False),
    ],
)
def test_a_price_that_was_not_touched_is_not_a_change(before, typed, changed):
    assert RoublesFormField(required=False).has_changed(before, typed) == changed
