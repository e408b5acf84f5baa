"""How operators read a decision that was made, and the catalogue that it was made of."""

import re
from html import unescape
from typing import Any

import orjson
import pytest
from django.urls import reverse
from django.utils import timezone
from msgspec.structs import replace

from billing.models import Generation
from providers import errors
from routing import archive
from routing.admin.decisions import STEPS, outcome
from routing.catalogue import Catalogue, load_catalogue
from routing.meter import Size
from routing.models import CatalogueVersion
from routing.needs import Needs
from routing.policy import Group, Question, Step, decide
from routing.replay import catalogue_of
from routing.snapshot import kept
from routing.wishes import NO_WISHES, Wishes
from tests.builders import (
    make_credential,
    make_endpoint,
    make_generation,
    make_model,
    make_provider,
    make_tariff,
    operators_browser,
)

pytestmark = pytest.mark.django_db

ASKED = [
    {"provider": "a", "model": "pro-1", "outcome": "TimedOut", "ms": 3000, "is_twin": False},
    {"provider": "b", "model": "pro-2", "outcome": "ok", "ms": 250, "is_twin": False},
]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No catalogue is remembered from another test."""
    catalogue_of.cache_clear()


def furnished() -> Catalogue:
    """One model at three providers, the last of which has no credential."""
    model = make_model("family/pro", quality={"general": 61}, tariff=make_tariff("500", "1500"))
    for slug in "abc":
        endpoint = make_endpoint(model, make_provider(slug), own_tariff=make_tariff("200", "300"))
        if slug != "c":
            make_credential(endpoint.provider)
    return kept(load_catalogue(with_twins=False))


def decided(catalogue: Catalogue, wishes: Wishes = NO_WISHES, **more: Any) -> Generation:
    """The record of a generation whose endpoint was chosen from all of ``catalogue``."""
    needs, now = Needs(Size(6, 0, 0, 1, 0, False)), timezone.now()
    groups = (Group(tuple(catalogue.routes())),)
    question = Question(groups, needs, now, "seed", wishes, version=catalogue.version)
    route = archive.kept(question, decide(question))
    return make_generation(created_at=now, route=orjson.loads(orjson.dumps(route)), **more)


def page(name: str, key: Any) -> str:
    """The text of a page of the admin, without its tags."""
    html = operators_browser().get(reverse(f"admin:{name}_change", args=[key])).content.decode()
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_a_generation_tells_whom_it_asked_and_what_became_of_that():
    told = page("billing_generation", decided(furnished(), attempts=ASKED).pk)

    assert "a pro-1 Провайдер не ответил вовремя. (TimedOut) 3 000" in told
    assert "b pro-2 ответил 250" in told


def test_a_generation_tells_who_could_be_asked_and_by_which_rule_the_others_could_not():
    told = page("billing_generation", decided(furnished()).pk)

    assert "Порядок: розыгрыш по цене и весу." in told
    assert re.search(r"1 family/pro [ab] 0,5 / 1,5 0,\d{6} 50 % — —", told)
    assert "family/pro c no_credentials нет действующих ключей доступа" in told
    assert "решили бы иначе" not in told


def test_wishes_are_told_as_customers_write_them():
    wishes = replace(NO_WISHES, order=("b",), max_price={"prompt": 500_000_000}, max_latency={"p90": 2000})

    told = page("billing_generation", decided(furnished(), wishes).pk)

    said = 'max_price = {"prompt": 0.5}; order = ["b"]; preferred_max_latency, мс = {"p90": 2000}.'
    assert said in told


def test_a_decision_that_would_be_another_today_says_so():
    generation = decided(furnished())
    generation.route["excluded"] = {}
    generation.save()

    assert "сегодня решили бы иначе" in page("billing_generation", generation.pk)


def test_a_decision_whose_catalogue_is_lost_says_so():
    generation = decided(furnished(), attempts=ASKED)
    CatalogueVersion.objects.all().delete()

    assert "Каталог той версии не сохранился." in page("billing_generation", generation.pk)


def test_a_generation_without_a_decision_says_so():
    told = page("billing_generation", make_generation().pk)

    assert "Попытки —" in told
    assert "ничего не записано" in told


def test_a_version_of_the_catalogue_is_a_table_of_its_endpoints():
    told = page("routing_catalogueversion", furnished().version)

    assert re.search(r"family/pro a upstream-\d+ 1, 100 32 768 / 8 192 0,5 / 1,5 0,2 / 0,3 61", told)
    assert "{" not in told.partition("Исполнители")[2]


@pytest.mark.parametrize(
    "kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.UpstreamError)]
)
def test_every_kind_of_failure_has_words(kind):
    assert re.match("[А-Я]", outcome(kind.__name__))
    assert "на нашей стороне" not in outcome(kind.__name__)


def test_what_is_no_failure_of_a_provider_is_ours():
    assert outcome("KeyError") == "Ошибка на нашей стороне. (KeyError)"


def test_every_step_back_has_words():
    assert STEPS.keys() == {step.name.lower() for step in Step}
