"""The catalogue's pages in the operators' portal, without a browser: who may do what, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Plan
from billing.models import Rate
from billing.money import roubles
from providers.models import Provider
from routing import plane
from routing.admin.models import ModelForm
from routing.catalogue import load_catalogue
from routing.models import Endpoint, Model
from tests.builders import (
    cells,
    clerks_browser,
    make_client,
    make_credential,
    make_endpoint,
    make_key,
    make_model,
    make_provider,
    make_tariff,
    operators_browser,
)
from tests.database import own_connection, somebody_waits
from tests.e2e.installation import wait_until

pytestmark = pytest.mark.django_db

PRICE = {"prompt": "300", "completion": "900", "request": "0"}
SECRET = "Секретный вопрос"


@pytest.fixture
def model() -> Model:
    return make_model("family/pro", quality={"general": 61}, aliases=("pro",))


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:routing_{name}", args=args)


# A new price -----------------------------------------------------------------------------------------


def test_a_look_at_a_new_price_tells_what_is_left_and_saves_nothing(operator, model):
    make_endpoint(model, make_provider("dear"), own_tariff=make_tariff("400", "500"))
    make_endpoint(model, make_provider("unsaid"))
    future = make_tariff("1", "1", starts_at=timezone.now() + timedelta(days=1))
    make_endpoint(model, make_provider("future"), own_tariff=future)
    rates = Rate.objects.count()

    answer = operator.post(page("model_price", model.pk), {**PRICE, "step": "look"})

    dear, unsaid, later = answer.context["rows"]
    prompt, completion = dear["margins"]
    assert (prompt["price"], prompt["own"], prompt["left"], prompt["share"]) == (
        "0,3",
        "0,4",
        "−0,1",
        "−33 %",
    )
    assert (completion["left"], completion["share"]) == ("0,4", "44 %")
    assert (prompt["is_loss"], completion["is_loss"], answer.context["losses"]) == (True, False, 1)
    assert not unsaid["is_known"] and not later["is_known"]
    assert "сколько берёт провайдер, не указано" in answer.content.decode()
    assert "в это время цены провайдера ещё нет" in answer.content.decode()
    assert Rate.objects.count() == rates


def test_a_new_price_is_a_new_rate_and_what_was_in_force_stays(operator, model):
    old = model.tariff.rates.get()
    before = timezone.now()

    operator.post(page("model_price", model.pk), {**PRICE, "step": "save"})

    new = model.tariff.rates.exclude(pk=old.pk).get()
    assert before <= new.starts_at <= timezone.now()
    assert (new.prompt, new.completion, new.cached_prompt) == (roubles("300"), roubles("900"), None)
    assert Rate.objects.get(pk=old.pk).prompt == roubles("500")
    assert LogEntry.objects.filter(object_id=str(model.pk)).exists()


def test_a_price_for_later_starts_then(operator, model):
    day = timezone.localtime() + timedelta(days=2)
    starts = {"starts_at_0": f"{day:%d.%m.%Y}", "starts_at_1": "00:00:00"}

    operator.post(page("model_price", model.pk), {**PRICE, **starts, "step": "save"})
    again = operator.post(page("model_price", model.pk), {**PRICE, **starts, "step": "save"})

    assert model.tariff.rates.filter(starts_at__gt=timezone.now()).count() == 1
    assert "уже назначена цена" in again.content.decode()
    assert "назначена" in operator.get(page("model_change", model.pk)).content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_two_prices_for_one_moment_at_once_the_second_one_is_told_of_the_first(model):
    day = timezone.localtime() + timedelta(days=2)
    starts = {"starts_at_0": f"{day:%d.%m.%Y}", "starts_at_1": "00:00:00"}
    pages = {page("model_price", model.pk): "step", reverse("admin:billing_rate_add"): "_save"}
    first, others = operators_browser(), [clerks_browser("view_model", "add_rate") for _ in pages]

    @own_connection()
    def save(browser: Browser, address: str) -> str:
        form = {**PRICE, **starts, "tariff": model.tariff_id, pages[address]: "save"}
        return browser.post(address, form).content.decode()

    with ThreadPoolExecutor(2) as second:
        with transaction.atomic():
            first.post(page("model_price", model.pk), {**PRICE, **starts, "step": "save"})
            told = second.map(save, others, pages)
            assert wait_until(lambda: somebody_waits() == 2)
        of_prices, of_rates = told

    assert "На это время уже назначена цена" in of_prices
    assert "уже существует" in of_rates
    assert model.tariff.rates.filter(starts_at__gt=timezone.now()).count() == 1


@pytest.mark.parametrize("wrong", [{"prompt": "-1"}, {"prompt": ""}, {"prompt": "много"}])
def test_a_price_that_is_none_is_an_error_in_the_form(operator, model, wrong):
    answer = operator.post(page("model_price", model.pk), {**PRICE, **wrong, "step": "save"})

    assert answer.context["form"].errors.keys() == {"prompt"}
    assert model.tariff.rates.count() == 1


def test_a_price_common_to_several_models_says_so(operator, model):
    make_model("family/other", tariff=model.tariff)

    answer = operator.post(page("model_price", model.pk), {**PRICE, "step": "look"})

    assert "Тариф общий" in answer.content.decode()
    assert "family/other" in answer.content.decode()


def test_prices_are_for_those_who_may_add_rates_and_own_costs_for_those_who_may_see_them(model):
    make_endpoint(model, own_tariff=make_tariff("123", "123"))
    looker = clerks_browser("view_model")
    pricer = clerks_browser("view_model", "add_rate")

    assert looker.get(page("model_price", model.pk)).status_code == 403
    assert "Новая цена" not in looker.get(page("model_change", model.pk)).content.decode()
    seen = pricer.post(page("model_price", model.pk), {**PRICE, "step": "look"}).content.decode()
    assert "0,123" not in seen and "Себестоимость видят" in seen
    assert clerks_browser("add_rate").get(page("model_price", model.pk)).status_code == 403


# A copy ----------------------------------------------------------------------------------------------


def test_a_copy_has_the_endpoints_and_readers_and_is_off(operator, model):
    client = make_client()
    Model.objects.filter(pk=model.pk).update(visible_to="clients")
    model.clients.add(client)
    make_endpoint(model, weight=7)

    operator.post(page("model_duplicate", model.pk), {"slug": "family/copy", "name": "Копия"})

    copy = Model.objects.get(slug="family/copy")
    assert (copy.is_enabled, copy.quality, copy.tariff) == (False, {"general": 61}, model.tariff)
    assert [each.weight for each in copy.endpoints.all()] == [7]
    assert (copy.visible_to, [*copy.clients.all()]) == ("clients", [client]) and not copy.aliases.exists()
    assert (model.endpoints.count(), Model.objects.get(pk=model.pk).slug) == (1, "family/pro")


@pytest.mark.parametrize("slug", ["family/pro", "PRO", "xrouter/auto", "a/b:floor", ""])
def test_a_copy_needs_a_name_of_its_own(operator, model, slug):
    answer = operator.post(page("model_duplicate", model.pk), {"slug": slug, "name": "Копия"})

    assert answer.context["form"].errors.keys() == {"slug"}
    assert Model.objects.count() == 1


def test_copies_are_for_those_who_may_add(model):
    assert clerks_browser("view_model").get(page("model_duplicate", model.pk)).status_code == 403


# The model's page and the lists ----------------------------------------------------------------------


def test_readers_are_on_the_models_page_and_in_the_list(operator, model):
    model.clients.add(make_client(), make_client())
    Model.objects.filter(pk=model.pk).update(visible_to="both", plans=["paid"])
    make_model("family/all")
    make_model("family/nobodys", visible_to="both", plans=["paid"])

    listed = operator.get(page("model_changelist")).content.decode()
    shown = operator.get(page("model_change", model.pk)).context["adminform"].form
    make_endpoint(model)
    provider = make_endpoint(model).provider
    filters = {"endpoints__provider__id__exact": provider.pk, "clients__id__exact": model.clients.first().pk}
    found = operator.get(page("model_changelist"), filters).content.decode()

    assert (cells(found, "served"), cells(found, "readers")) == (["2"], ["платный, клиентам: 2"])
    assert cells(listed, "readers") == ["всем", "никому", "платный, клиентам: 2"]
    assert cells(listed, "price") == ["0,5 / 0,5"] * 3
    assert shown["plans"].value() == ["paid"]


@pytest.mark.parametrize(
    ("chosen", "refused"),
    [("all", {"plans", "clients"}), ("plans", {"clients"}), ("clients", {"plans"}), ("both", set())],
)
def test_a_list_of_readers_that_would_have_no_part_is_refused(model, chosen, refused):
    typed = {"visible_to": chosen, "plans": ["paid"], "clients": [make_client().pk]}

    assert {*ModelForm(typed, instance=model).errors} & {"visible_to", *typed} == refused


def test_no_page_takes_more_queries_for_more_rows(operator, model, django_assert_max_num_queries):
    provider = make_provider()
    for number in range(12):
        each = make_model(f"family/m{number}", tariff=model.tariff)
        make_endpoint(each, provider, own_tariff=model.tariff)
        make_endpoint(model, provider, own_tariff=make_tariff())

    for address in (
        page("model_changelist"),
        page("endpoint_changelist"),
        page("alias_changelist"),
        page("model_change", model.pk),
        page("model_price", model.pk),
        page("model_foresee"),
        page("endpoint_providers"),
        page("endpoint_stock", provider.pk),
    ):
        with django_assert_max_num_queries(30):
            assert operator.get(address).status_code == 200
    with django_assert_max_num_queries(30):
        operator.post(page("model_price", model.pk), {**PRICE, "step": "look"})


# What would be chosen --------------------------------------------------------------------------------


@pytest.fixture
def here(monkeypatch, model) -> plane.Plane:
    """A plane that was not opened, with a model at one provider that may be asked, and one that may not."""
    for slug in ("a", "keyless"):
        provider = make_provider(slug)
        make_endpoint(model, provider, own_tariff=make_tariff("100", "100"))
        if slug == "a":
            make_credential(provider)
    opened = plane.Plane()
    async_to_sync(opened._windows.close)()
    opened._snapshot.catalogue = load_catalogue(with_twins=False)
    monkeypatch.setattr(plane, "_current", [opened])
    return opened


def asked(browser: Browser, **form: Any) -> Any:
    return browser.post(page("model_foresee"), {"model": "pro:floor", "question": SECRET, **form})


def test_an_operator_sees_whom_a_request_would_meet_and_nothing_is_kept(operator, here, caplog):
    answer = asked(operator, tools="on", response_format="json_object", max_tokens="50", provider="")

    [place], [left_out] = answer.context["places"], answer.context["table"]["excluded"]
    assert (place["provider"], place["position"]) == ("a", 1)
    assert 0 < place["expected_cost"] <= place["max_cost"]
    assert left_out["rule"] == "no_credentials"
    assert answer.context["strategy"] == "от дешёвых к дорогим"
    assert SECRET not in caplog.text
    assert not LogEntry.objects.exists()


def test_a_real_request_can_be_pasted_and_fields_take_the_place_of_its_own(operator, here):
    messages = '[{"role": "user", "content": "Привет"}]'
    body = f'{{"model": "no/such", "messages": {messages}, "provider": {{"only": ["b"]}}}}'

    answer = operator.post(page("model_foresee"), {"model": "family/pro", "body": body})

    assert {each["rule"] for each in answer.context["table"]["excluded"]} == {"no_credentials", "only"}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"model": "no/such"}, "no/such"),
        ({"question": ""}, "messages"),
        ({"provider": '{"sort": "luck"}'}, "sort"),
        ({"provider": "[1]"}, "Нужен объект JSON"),
        ({"body": "{"}, "Это не JSON"),
    ],
)
def test_what_the_api_would_refuse_is_refused_in_its_words(operator, here, form, said):
    answer = asked(operator, **form)

    assert said in str(answer.context["form"].errors)
    assert "places" not in answer.context


def test_it_is_asked_as_a_key_or_a_client(operator, here):
    client = make_client("Ромашка", routing={"ignore": ["a"]})
    key, _ = make_key(client, allowed_models=["other/model"])
    blocked = make_client(is_active=False)

    as_client = asked(operator, client=client.pk)
    as_key = asked(operator, key=key.pk)
    as_blocked = asked(operator, client=blocked.pk)

    assert {each["rule"] for each in as_client.context["table"]["excluded"]} == {"ignore", "no_credentials"}
    assert "не разрешена" in str(as_key.context["form"].errors)
    assert "приостановлен" in str(as_blocked.context["form"].errors)


def test_a_plan_that_may_not_see_the_model_has_none(operator, here):
    Model.objects.update(visible_to="plans", plans=["paid"])
    here._snapshot.catalogue = load_catalogue(with_twins=False)

    assert "не найдена" in str(asked(operator, plan=Plan.FREE).context["form"].errors)
    assert asked(operator, plan=Plan.PAID).context["places"]


def test_without_the_right_nobody_looks_and_clients_are_for_those_who_may_see_them(here):
    looker = clerks_browser("view_model")

    fields = looker.get(page("model_foresee")).context["form"].fields

    assert not {"key", "client"} & fields.keys()
    assert clerks_browser("view_endpoint").get(page("model_foresee")).status_code == 403


# A provider's list -----------------------------------------------------------------------------------


def listed(operator: Browser, provider: Provider, names: list[str]) -> dict[str, str]:
    from routing.admin.imports import _signed

    return {"listed": _signed(provider, names)}


def test_nothing_is_saved_without_a_tick_or_in_half(operator, model):
    provider = make_provider()
    gone = make_endpoint(model, provider, upstream_name="old")
    form = listed(operator, provider, ["new-a", "new-b"])
    address = page("endpoint_stock", provider.pk)

    none = operator.post(address, {**form, "step": "save", "model-0": model.pk})
    half = operator.post(
        address,
        {**form, "step": "save", "take-0": "on", "model-0": model.pk, "take-1": "on", "slug-1": "family/pro"},
    )
    looked = operator.post(address, {**form, "step": "look", f"off-{gone.pk}": "on"})

    assert "Ничего не отмечено" in none.content.decode()
    assert half.context["form"].errors.keys() == {"tariff-1"}
    assert "будет выключен" in looked.content.decode()
    assert [*Endpoint.objects.values_list("upstream_name", "is_enabled")] == [("old", True)]


def test_ticks_become_endpoints_models_and_what_is_switched_off(operator, model):
    provider = make_provider("vendor")
    gone = make_endpoint(model, provider, upstream_name="old")
    kept = make_endpoint(model, provider, upstream_name="kept")
    form = listed(operator, provider, ["kept", "new-a", "new-b", "new-c"])
    ticks = {
        "take-0": "on",
        "model-0": model.pk,
        "take-1": "on",
        "slug-1": "vendor/b",
        "title-1": "Б",
        "tariff-1": model.tariff_id,
        f"off-{gone.pk}": "on",
    }

    operator.post(page("endpoint_stock", provider.pk), {**form, **ticks, "step": "save"})

    made = Model.objects.get(slug="vendor/b")
    assert (made.name, made.is_enabled, made.tariff) == ("Б", False, model.tariff)
    assert {*Endpoint.objects.values_list("upstream_name", "model__slug", "is_enabled")} == {
        ("old", "family/pro", False),
        ("kept", "family/pro", True),
        ("new-a", "family/pro", True),
        ("new-b", "vendor/b", True),
    }
    assert LogEntry.objects.count() == 4
    assert Endpoint.objects.get(pk=kept.pk).is_enabled


def test_a_list_of_another_provider_or_of_nobody_is_stale(operator, model):
    mine, other = make_provider(), make_provider()

    for form in (listed(operator, other, ["new"]), {"listed": "made:up"}):
        answer = operator.post(page("endpoint_stock", mine.pk), {**form, "step": "look"})
        assert "Список устарел" in answer.content.decode()


def test_a_provider_that_cannot_be_asked_is_told_of_in_a_sentence(operator):
    address = page("endpoint_stock", make_provider().pk)
    away = make_provider(base_url="http://127.0.0.1:9")
    make_credential(away)

    assert "спросить его нечем" in operator.post(address, {"step": "ask"}).content.decode()
    said = operator.post(page("endpoint_stock", away.pk), {"step": "ask"}).content.decode()
    assert "Не удалось соединиться с провайдером." in said


def test_lists_are_for_those_who_may_add_endpoints_and_new_models_for_those_who_may_add_them(model):
    provider = make_provider()
    address = page("endpoint_stock", provider.pk)
    adder = clerks_browser("view_endpoint", "add_endpoint")
    make_endpoint(model, provider, upstream_name="old")

    form = adder.post(address, {**listed(adder, provider, ["new"]), "step": "look"}).context["form"]

    assert clerks_browser("view_endpoint", "change_endpoint").get(address).status_code == 403
    assert {*form.fields} == {"listed", "take-0", "model-0"}
