import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.callers import load_caller
from accounts.limits import UNLIMITED, Limits
from accounts.models import LIMITS, ApiKey, Client
from tests.builders import make_client, make_key, operators_browser

pytestmark = pytest.mark.django_db


def test_limits_of_client_and_key_come_with_the_caller(django_assert_num_queries):
    client = make_client(requests_per_second=7, concurrent_requests=3)
    key, _ = make_key(client, requests_per_day=100, tokens_per_minute=5000)

    with django_assert_num_queries(2):
        caller = load_caller(key.prefix)

    assert caller.client_limits == Limits(requests_per_second=7, concurrent_requests=3)
    assert caller.key_limits == Limits(requests_per_day=100, tokens_per_minute=5000)


def test_limits_are_empty_unless_given():
    key, _ = make_key()

    caller = load_caller(key.prefix)

    assert caller.client_limits == caller.key_limits == UNLIMITED


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_at_least_one(name):
    with pytest.raises(ValidationError):
        Client(name="Ромашка", **{name: 0}).full_clean()
    with pytest.raises(ValidationError):
        make_key(**{name: 0})
    make_key(**{name: 1})


@pytest.mark.parametrize("name", LIMITS)
def test_the_database_itself_refuses_a_limit_of_nothing(name):
    make_key(requests_per_minute=5)

    for rows in (Client.objects, ApiKey.objects):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**{name: 0})


def test_an_operator_limits_a_client_and_a_key():
    operator = operators_browser()
    key, _ = make_key()
    inline = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}

    operator.post(
        reverse("admin:accounts_client_change", args=[key.client_id]),
        {"name": "Ромашка", "plan": "paid", "is_active": "on", "requests_per_minute": 30, **inline},
    )
    operator.post(
        reverse("admin:accounts_apikey_change", args=[key.pk]),
        {"label": "сервер", "concurrent_requests": 2, "cap-TOTAL_FORMS": 0, "cap-INITIAL_FORMS": 0},
    )

    assert Client.objects.get().limits == Limits(requests_per_minute=30)
    assert ApiKey.objects.get().limits == Limits(concurrent_requests=2)


@pytest.mark.parametrize(
    ("page", "said"),
    [("client", "Пусто — как в тарифе доступа."), ("apikey", "Пусто — без отдельного лимита.")],
)
def test_the_desk_says_what_an_empty_limit_means(page, said):
    assert said in operators_browser().get(reverse(f"admin:accounts_{page}_add")).content.decode()
