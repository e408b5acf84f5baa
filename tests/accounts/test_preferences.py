"""What may be kept as a default of routing, at the desk and in the database."""

import json
import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db.models import JSONField, Value
from django.urls import reverse

from accounts import preferences
from accounts.callers import load_caller
from accounts.models import ApiKey, Client
from accounts.preferences import MaxPrice, Percentiles, Preferences, Sort, validate_preferences
from tests.builders import cells, make_client, make_key, make_provider, operators_browser

PAGE = Path(__file__).parents[2] / "docs" / "routing-preferences.md"
GOOD = {
    "order": ["gigachat", "mts-ai"],
    "allow_fallbacks": False,
    "data_collection": "deny",
    "sort": {"by": "price", "partition": "none"},
    "max_price": {"prompt": "0.5", "completion": 1, "request": 0, "image": 1},
    "preferred_min_throughput": 50,
    "preferred_max_latency": {"p90": 2.5},
    "region": "ru",
    "ignore": None,
}
WRONG = [
    ([], "Нужен объект JSON"),
    ("price", "Нужен объект JSON"),
    (None, "Нужен объект JSON"),
    ({"sort": "speed"}, "Поле sort: ожидается одно из значений latency, price, throughput или объект"),
    ({"max_price": {"prompt": -1}}, "Поле max_price.prompt: ожидается число не меньше 0"),
    ({"ingore": ["gigachat"]}, "Неизвестно: ingore. Есть order, only, ignore,"),
    ({"max_price": {"promt": 1}, "sort": {"bye": "x"}}, "Неизвестно: max_price.promt, sort.bye."),
    ({"max_price": {"promt": 1}}, "Есть max_price.prompt, max_price.completion, max_price.request,"),
    ({"region": "russia"}, "Поле region: нужны две латинские буквы"),
    ({"region": "рф"}, "Поле region: нужны две латинские буквы"),
    ({"region": "\x00"}, "нельзя сохранить"),
    ({"only": ["\ud800"]}, "нельзя сохранить"),
    ({"preferred_max_latency": 1e999}, "нельзя сохранить"),
]


@pytest.mark.parametrize("value", [{}, GOOD, {"region": "RU"}, {"region": ""}, {"region": None}])
def test_what_a_request_may_say_may_be_kept(value):
    validate_preferences(value)


@pytest.mark.parametrize(("value", "said"), WRONG)
def test_what_cannot_be_kept_is_told(value, said):
    with pytest.raises(ValidationError, match=r".") as caught:
        validate_preferences(value)

    assert said in caught.value.messages[0]


@pytest.mark.parametrize("shape", [Preferences, Sort, MaxPrice, Percentiles])
def test_every_member_is_explained_to_customers(shape):
    words = set(re.findall(r"\w+", PAGE.read_text()))

    assert set(shape.__struct_fields__) <= words


@pytest.mark.django_db
def test_they_come_with_the_caller_the_keys_first(django_assert_num_queries):
    key, _ = make_key(make_client(routing={"region": "ru"}), routing={"sort": "price"})

    with django_assert_num_queries(2):
        caller = load_caller(key.prefix)

    assert caller.defaults == ({"sort": "price"}, {"region": "ru"})


@pytest.mark.django_db
def test_empty_ones_are_left_out():
    one, _ = make_key()
    other, _ = make_key(make_client(routing={"region": "ru"}))

    assert load_caller(one.prefix).defaults == ()
    assert load_caller(other.prefix).defaults == ({"region": "ru"},)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "broken", [{"sort": "speed"}, [], ["x"], "x", 5, None, {"max_price": {"prompt": 10**400}}]
)
def test_what_is_broken_in_the_database_is_ignored_and_told_once(broken, caplog):
    preferences._complain.cache_clear()
    client = make_client(routing={"region": "ru"})
    key, _ = make_key(client)
    ApiKey.objects.update(routing=Value(broken, JSONField()))

    found = [load_caller(key.prefix).defaults for _ in range(2)]

    assert found == [({"region": "ru"},)] * 2
    (record,) = [record for record in caplog.records if "preferences" in record.message]
    assert record.whose == f"key {key.prefix}"
    assert record.flaw


# --- The desk --------------------------------------------------------------------------------------

CLIENT_FORM = {
    "name": "Ромашка",
    "plan": "paid",
    "is_active": "on",
    "memberships-TOTAL_FORMS": 0,
    "memberships-INITIAL_FORMS": 0,
}
KEY_FORM = {"label": "сервер", "cap-TOTAL_FORMS": 0, "cap-INITIAL_FORMS": 0}


def change(row: Client | ApiKey, routing: str):
    """What the desk answers to ``routing`` typed on the page of ``row``."""
    page, form = ("client", CLIENT_FORM) if isinstance(row, Client) else ("apikey", KEY_FORM)
    address = reverse(f"admin:accounts_{page}_change", args=[row.pk])
    return operators_browser().post(address, {**form, "routing": routing})


def rows() -> list[Client | ApiKey]:
    key, _ = make_key(make_client(routing={"sort": "price"}), routing={"sort": "price"})
    return [key.client, key]


@pytest.mark.django_db
@pytest.mark.parametrize("which", [0, 1], ids=["client", "key"])
@pytest.mark.parametrize(("typed", "kept"), [(json.dumps(GOOD), GOOD), ("", {}), ("{}", {})])
def test_an_operator_sets_and_empties_them(which, typed, kept):
    row = rows()[which]
    for slug in GOOD["order"]:
        make_provider(slug)

    change(row, typed)

    row.refresh_from_db()
    assert row.routing == kept


@pytest.mark.django_db
@pytest.mark.parametrize("which", [0, 1], ids=["client", "key"])
@pytest.mark.parametrize("field", ["order", "only", "ignore"])
def test_a_provider_there_is_not_is_told(which, field):
    row = rows()[which]
    make_provider("gigachat")

    answer = change(row, json.dumps({field: ["GigaChat", "gigachad"]}))

    said = answer.context["adminform"].form.errors["routing"]
    assert said == [f"Поле {field}: нет провайдера «gigachad». Есть gigachat."]


@pytest.mark.django_db
@pytest.mark.parametrize("which", [0, 1], ids=["client", "key"])
def test_what_is_no_json_is_told_in_words_and_which_fields_there_are_beside_it(which):
    form = change(rows()[which], "{'sort': 'price'}").context["adminform"].form

    assert "Это не JSON: проверьте кавычки" in form.errors["routing"][0]
    assert all(name in form.fields["routing"].help_text for name in Preferences.__struct_fields__)


@pytest.mark.django_db
@pytest.mark.parametrize("which", [0, 1], ids=["client", "key"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        *[(json.dumps(value), said) for value, said in WRONG],
        ("{", "JSON"),
        ("1" * 5000, "JSON"),
        ("[" * 100_000, "JSON"),
    ],
    ids=lambda value: value[:40],
)
def test_what_cannot_be_kept_is_an_error_in_the_form(which, typed, said):
    row = rows()[which]

    errors = change(row, typed).context["adminform"].form.errors

    assert errors.keys() == {"routing"}
    assert said in errors["routing"][0]
    row.refresh_from_db()
    assert row.routing == {"sort": "price"}


@pytest.mark.django_db
def test_the_list_of_clients_tells_who_has_any():
    make_client(routing={"region": "ru", "sort": "price"})
    make_client()

    page = operators_browser().get(reverse("admin:accounts_client_changelist")).content.decode()

    assert cells(page, "preferences") == ["sort, region", "—"]
