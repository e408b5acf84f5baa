import pytest

from providers.vault import VaultError
from routing.catalogue import load_catalogue
from tests.builders import make_credential, make_endpoint, make_model, make_provider, make_twin

pytestmark = pytest.mark.django_db


def served_by(name: str = "ya/m", *, with_twins: bool = True, test: bool = False) -> list[str]:
    """Slugs of the providers that live keys, or test keys, are sent to."""
    card = load_catalogue(with_twins=with_twins).find(name)
    return [route.upstream.slug for route in (card.twin_routes if test else card.routes)]


def test_a_model_is_found_by_its_slug_and_aliases_in_any_case():
    make_model("family/model", aliases=("model", "Модель"))

    catalogue = load_catalogue(with_twins=False)

    card = catalogue.find("FAMILY/model")
    assert card.slug == "family/model"
    assert catalogue.find("model") is catalogue.find("МОДЕЛЬ") is card
    assert catalogue.find("other") is None


def test_only_public_names_are_listed():
    make_model("b/two", aliases=("two",))
    make_model("a/one")

    assert load_catalogue(with_twins=False).names() == ["a/one", "b/two"]


def test_a_route_knows_what_a_request_needs():
    provider = make_provider(options={"a": 1, "b": 1}, timeouts={"connect": 1.5}, ca_bundle="")
    make_credential(provider, {"api_key": "k"}, slots=7)
    make_endpoint(
        make_model("ya/m", max_images=4),
        provider,
        upstream_name="up",
        priority=3,
        weight=2,
        tools="native",
        options={"b": 2},
    )

    [route] = load_catalogue(with_twins=False).find("ya/m").routes

    assert (route.model, route.upstream_model, route.priority, route.weight) == ("ya/m", "up", 3, 2)
    assert (route.options, route.max_images) == ({"a": 1, "b": 2}, 4)
    assert "tools" in route.features
    assert route.upstream.timeouts.connect == 1.5
    assert [(login.secret, login.slots) for login in route.upstream.logins] == [({"api_key": "k"}, 7)]


@pytest.mark.parametrize("off", ["model", "endpoint", "provider", "credential"])
def test_what_is_switched_off_serves_nobody_and_has_no_stand_in(off):
    provider = make_provider(is_enabled=off != "provider")
    make_twin(provider)
    make_credential(provider, is_enabled=off != "credential")
    make_endpoint(make_model("ya/m", is_enabled=off != "model"), provider, is_enabled=off != "endpoint")

    card = load_catalogue(with_twins=True).find("ya/m")

    assert card is None or not any(route.upstream.logins for route in card.routes)
    assert card is None or not any(route.upstream.is_twin for route in card.routes)


def test_a_twin_stands_in_for_a_provider_nobody_has_given_credentials_for():
    provider = make_provider("vendor")
    make_credential(make_twin(provider))
    make_endpoint(make_model("ya/m"), provider)

    assert served_by() == ["vendor-twin"]
    assert served_by(test=True) == ["vendor-twin"]


def test_with_credentials_the_twin_is_for_test_keys_alone():
    provider = make_provider("vendor")
    make_credential(make_twin(provider))
    make_credential(provider)
    make_endpoint(make_model("ya/m"), provider)

    assert served_by() == ["vendor"]
    assert served_by(test=True) == ["vendor-twin"]


def test_without_twins_nobody_stands_in():
    provider = make_provider("vendor")
    make_credential(make_twin(provider))
    make_endpoint(make_model("ya/m"), provider)

    assert served_by(with_twins=False) == ["vendor"]
    assert served_by(with_twins=False, test=True) == []


def test_a_twin_that_is_switched_off_stands_in_for_nobody():
    provider = make_provider("vendor")
    make_credential(make_twin(provider, is_enabled=False))
    make_endpoint(make_model("ya/m"), provider)

    assert served_by() == ["vendor"]


def test_credentials_that_cannot_be_read_are_an_error(settings):
    provider = make_provider()
    make_credential(provider)
    settings.XROUTER_VAULT_KEYS = ["other:" + "A" * 43 + "="]

    with pytest.raises(VaultError):
        load_catalogue(with_twins=False)


def test_the_number_of_queries_does_not_grow_with_the_catalogue(django_assert_num_queries):
    for _ in range(5):
        make_endpoint(make_model(aliases=(f"alias-{_}",)))

    with django_assert_num_queries(7):
        load_catalogue(with_twins=True)


def test_secrets_are_not_shown():
    provider = make_provider()
    make_credential(provider, {"api_key": "very secret"})
    make_endpoint(make_model("ya/m"), provider)

    assert "very secret" not in repr(load_catalogue(with_twins=False))
