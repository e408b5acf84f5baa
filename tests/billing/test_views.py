"""What a client's page shows, and to whom."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from accounts.keys import Kind
from accounts.models import Client, Membership
from billing.views import GENERATIONS_PER_PAGE
from tests.builders import alice, bob, eve, make_client, make_generation, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


def page(browser, owner: Client, query: str = "") -> str:
    answer = browser.get(f"/dashboard/{owner.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def home(client) -> Client:
    """Romashka, with Alice signed in."""
    client.force_login(alice())
    return romashka()


def test_the_dashboard_leads_to_the_persons_client(client, home):
    assert client.get("/dashboard/")["location"] == f"/dashboard/{home.pk}/"


def test_a_person_without_a_client_is_told_so(client):
    client.force_login(make_user())

    assert "не состоите ни в одной организации" in client.get("/dashboard/").content.decode()


def test_a_person_of_two_clients_finds_both(client, home):
    second = make_client("Василёк")
    Membership.objects.create(user=alice(), client=second)

    assert f'href="/dashboard/{second.pk}/"' in page(client, home)


def test_a_new_client_has_empty_lists_and_a_way_on(client, home):
    shown = page(client, home)

    assert "Ключей пока нет." in shown
    assert "Запросов пока не было." in shown
    assert "manage.py create_key" in shown


def test_the_balance_is_shown_in_roubles(client):
    owner = make_client(balance="1234.5")
    Membership.objects.create(user=bob(), client=owner)
    client.force_login(bob())

    assert "1\xa0234,50\xa0₽" in page(client, owner)


def test_a_key_is_shown_by_its_beginning_only(client, home):
    key, plaintext = make_key(home, "сервер")

    shown = page(client, home)

    assert key.prefix in shown
    assert plaintext not in shown
    assert plaintext.removeprefix(key.prefix) not in shown


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "работает"),
        ({"disabled_at": timezone.now()}, "отключён"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "истёк"),
    ],
)
def test_a_key_tells_its_state(client, home, fields, state):
    make_key(home, "ключ", Kind.TEST, **fields)

    assert state in page(client, home)


def test_a_twins_answer_is_marked(client, home):
    make_generation(home, provider="gigachat-twin", attempts=[{"provider": "gigachat-twin", "is_twin": True}])

    assert "двойник" in page(client, home)


def test_a_providers_answer_is_not_called_a_twins(client, home):
    make_generation(
        home, attempts=[{"provider": "yandexgpt-twin", "is_twin": True}, {"provider": "gigachat"}]
    )

    assert "двойник" not in page(client, home)


def test_a_request_nobody_answered_shows_what_was_asked_for_and_why(client, home):
    make_generation(home, model="", provider="", status="failed", error_type="provider_timeout")

    shown = page(client, home)

    assert all(text in shown for text in ("gigachat/pro", "не удалась", "provider_timeout"))


def test_what_came_from_outside_is_no_markup(client, home):
    make_generation(home, model="", model_requested="<script>alert(1)</script>")
    make_key(home, "<img src=x>")

    shown = page(client, home)

    assert "<script>alert" not in shown
    assert "<img" not in shown


def test_pages_show_every_generation_once(client, home):
    moment = timezone.now()
    # Two of a moment, so that a page may end between them.
    made = [
        make_generation(home, created_at=moment - timedelta(seconds=number // 2))
        for number in range(2 * GENERATIONS_PER_PAGE + 1)
    ]

    shown: list[UUID] = []
    address: str | None = f"/dashboard/{home.pk}/"
    while address:
        context = client.get(address).context
        shown += [each.pk for each in context["generations"]]
        address = f"/dashboard/{home.pk}/?before={shown[-1]}" if context["has_more"] else None

    assert len(shown) == len(made)
    assert set(shown) == {each.pk for each in made}


def test_nothing_older_is_no_error(client, home):
    only = make_generation(home)

    assert "Более ранних нет." in page(client, home, f"?before={only.pk}")


@pytest.mark.parametrize("before", ["", "nonsense", str(uuid4())])
def test_a_place_that_is_none_is_not_found(client, home, before):
    assert client.get(f"/dashboard/{home.pk}/?before={before}").status_code == 404


def test_queries_do_not_grow_with_rows(client, home, django_assert_max_num_queries):
    for number in range(10):
        make_key(home, f"ключ {number}")
        make_generation(home)

    with django_assert_max_num_queries(10):
        page(client, home)


def test_eve_sees_nothing_of_romashka(client):
    owner = romashka()
    place = make_generation(owner).pk
    client.force_login(eve())

    assert client.get(f"/dashboard/{owner.pk}/").status_code == 404
    assert client.get(f"/dashboard/{eve().clients.get().pk}/?before={place}").status_code == 404


def test_an_operator_who_is_no_member_is_a_stranger_too(client):
    client.force_login(make_user(is_staff=True, is_superuser=True))

    assert client.get(f"/dashboard/{romashka().pk}/").status_code == 404
