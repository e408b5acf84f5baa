"""A generation's page: what its owner may know of it, and nobody else."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import ledger
from billing.models import Generation
from billing.money import roubles
from tests.books import PRICE, spend
from tests.builders import alice, eve, make_client, make_generation, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


def address(generation: Generation) -> str:
    return reverse("usage-generation", args=[generation.client_id, generation.pk])


def page(browser, generation: Generation) -> str:
    answer = browser.get(address(generation))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.fixture
def paid(client) -> Generation:
    """Romashka's, with Alice signed in."""
    client.force_login(alice())
    key, _ = make_key(romashka(), "сайт")
    ledger.top_up(key.client, roubles("100"), cause="payment 1")
    return spend(key, client_request_id="заказ-7", own_cost=roubles("0.777"))


def test_the_price_is_told_line_by_line(client, paid):
    shown = page(client, paid)

    # 991 tokens at 500 ₽ for a million, and so on: the sum of the lines is what was charged.
    for text in ("0,4955", "0,001", "0,489163", "0,014", "0,999663"):
        assert text in shown
    assert "Токены ответа" in shown
    assert "сайт" in shown
    assert "заказ-7" in shown
    assert PRICE.prompt == roubles("500")


def test_what_it_costs_us_is_not_told(client, paid):
    Generation.objects.update(
        attempts=[{"provider": "gigachat", "outcome": "ok", "credential": "secret label", "ms": 12}],
        upstream_model="GigaChat-internal",
    )

    shown = page(client, paid)

    assert not any(text in shown for text in ("0,777", "secret label", "GigaChat-internal"))


def test_a_free_one_says_so_and_one_whose_price_is_unknown_too(client, paid):
    free, unknown = make_generation(romashka()), make_generation(romashka(), cost=5)

    assert "ничего не списано" in page(client, free)
    assert "не записано" in page(client, unknown)


def test_strangers_find_nothing(client, paid):
    other = make_generation(make_client(), created_at=timezone.now() - timedelta(days=1))
    assert client.get(reverse("usage-generation", args=[paid.client_id, other.pk])).status_code == 404

    for person in (eve(), make_user(is_staff=True, is_superuser=True)):
        client.force_login(person)
        assert client.get(address(paid)).status_code == 404
    client.force_login(eve())
    home = eve().clients.get()
    assert client.get(reverse("usage-generation", args=[home.pk, paid.pk])).status_code == 404
