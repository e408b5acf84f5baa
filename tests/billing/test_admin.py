"""Prices, wallets, caps and promo codes as operators keep them; how money looks on the desk."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, User
from billing import ledger
from billing.fields import RoublesFormField
from billing.models import Account, Cap, KeyDay, PromoCode, Rate, Reset
from billing.money import roubles
from tests.builders import (
    clerks_browser,
    make_client,
    make_generation,
    make_key,
    make_tariff,
    operators_browser,
)

pytestmark = pytest.mark.django_db

TO_COME = {"starts_at_0": "01.01.2100", "starts_at_1": "00:00:00"}
AT_ONCE = {"starts_at_0": "01.01.2020", "starts_at_1": "00:00:00"}
PRICES = {"prompt": "500", "completion": "500", "request": "0"}


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def rate_to_come() -> Rate:
    return make_tariff(prompt="1200.5", starts_at=timezone.now() + timedelta(days=1)).rates.get()


def rate_in_force() -> Rate:
    return make_tariff(prompt="1200.5").rates.get()


def add_rate(operator: Browser, **typed: str) -> str:
    form = {"tariff": make_tariff().pk, **TO_COME, **PRICES, **typed}
    return operator.post(reverse("admin:billing_rate_add"), form, follow=True).content.decode()


def edit_rate(operator: Browser, rate: Rate) -> int:
    form = {"tariff": rate.tariff_id, **TO_COME, **PRICES, "prompt": "7"}
    return operator.post(reverse("admin:billing_rate_change", args=[rate.pk]), form).status_code


# --- Prices ------------------------------------------------------------------------------------------


def test_a_price_is_typed_in_roubles(operator):
    add_rate(operator, prompt="1200,5", completion="0.000001", cached_prompt="", reasoning="7", embedding="1")

    rate = Rate.objects.latest("starts_at")
    assert (rate.prompt, rate.completion) == (roubles("1200.5"), 1)
    assert (rate.cached_prompt, rate.reasoning, rate.request) == (None, roubles("7"), 0)
    assert rate.embedding == roubles("1")


@pytest.mark.parametrize(("language", "typed"), [("ru", "1200,5"), ("en", "1200.5")])
def test_a_price_is_typed_in_roubles_in_the_operators_notation(operator, language, typed):
    operator.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
    address = reverse("admin:billing_rate_change", args=[rate_to_come().pk])

    form = operator.get(address).context["adminform"].form

    assert form["prompt"].value() == typed
    assert form.fields["prompt"].clean(typed) == roubles("1200.5")


def test_a_price_that_is_only_read_is_shown_in_roubles(operator):
    rate = rate_in_force()

    page = operator.get(reverse("admin:billing_rate_change", args=[rate.pk])).content.decode()

    assert ">1\N{NO-BREAK SPACE}200,50<" in page
    assert "1200500000" not in page


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


def test_no_rate_starts_in_the_past(operator):
    before = timezone.now()

    add_rate(operator, **AT_ONCE)

    assert Rate.objects.latest("starts_at").starts_at >= before


def test_a_rate_to_come_is_edited(operator):
    rate = rate_to_come()

    edit_rate(operator, rate)

    rate.refresh_from_db()
    assert rate.prompt == roubles("7")


def test_a_rate_in_force_is_not_edited(operator):
    rate = rate_in_force()

    assert edit_rate(operator, rate) == 403
    rate.refresh_from_db()
    assert rate.prompt == roubles("1200.5")


def test_a_rate_in_force_says_how_a_price_is_changed(operator):
    rate = rate_in_force()

    page = operator.get(reverse("admin:billing_rate_change", args=[rate.pk])).content.decode()

    assert "Новая цена — это новая ставка." in page


@pytest.mark.parametrize(("make", "left"), [(rate_in_force, 1), (rate_to_come, 0)])
def test_only_a_rate_to_come_is_deleted(operator, make, left):
    rate = make()

    operator.post(reverse("admin:billing_rate_delete", args=[rate.pk]), {"post": "yes"})

    assert Rate.objects.count() == left


def test_a_rate_in_force_is_not_deleted_among_others(operator):
    rates = [rate_in_force(), rate_to_come()]
    form = {"action": "delete_selected", "_selected_action": [rate.pk for rate in rates], "post": "yes"}

    answer = operator.post(reverse("admin:billing_rate_changelist"), form)

    assert answer.status_code == 403
    assert Rate.objects.count() == 2


def test_a_tariff_is_not_deleted_with_its_rates_in_force(operator):
    tariff = make_tariff()

    operator.post(reverse("admin:billing_tariff_delete", args=[tariff.pk]), {"post": "yes"})

    assert Rate.objects.count() == 1


def rates_of(page) -> dict[str, str]:
    """What a browser would send back of a tariff's page, besides the tariff itself."""
    forms = [each.formset for each in page.context["inline_admin_formsets"]]
    managed = {field.html_name: field.value() for each in forms for field in each.management_form}
    typed = {field.html_name: field.value() for each in forms for form in each.forms for field in form}
    return {name: value for name, value in {**managed, **typed}.items() if value is not None}


def test_on_a_tariffs_page_a_rate_in_force_stays_and_a_new_one_is_added(operator):
    tariff = make_tariff(prompt="500")
    address = reverse("admin:billing_tariff_change", args=[tariff.pk])
    sent = rates_of(operator.get(address))
    forged = {"rates-0-id": tariff.rates.get().pk, "rates-0-prompt": "1"}
    new = {f"rates-2-0-{name}": value for name, value in {**TO_COME, **PRICES, "prompt": "7"}.items()}

    operator.post(
        address, {**sent, "slug": tariff.slug, "name": "новое", **forged, **new, "rates-2-TOTAL_FORMS": 1}
    )

    prompts = tariff.rates.order_by("starts_at").values_list("prompt", flat=True)
    assert list(prompts) == [roubles("500"), roubles("7")]


# --- Wallets -----------------------------------------------------------------------------------------

LIMITS = {"credit_limit": "0", "alert_below": "100"}


def edit_wallet(operator: Browser, client: Client, **typed: str):
    return operator.post(
        reverse("admin:billing_account_change", args=[client.wallet.pk]), {**LIMITS, **typed}
    )


def test_an_overdraft_is_given_and_nothing_else_changes(operator):
    client = make_client(balance="10")

    edit_wallet(operator, client, credit_limit="50", balance="1000", held="7")

    wallet = ledger.wallet_of(client)
    assert (wallet.credit_limit, wallet.balance, wallet.held) == (roubles("50"), roubles("10"), 0)
    assert LogEntry.objects.get().get_change_message() == "Овердрафт, ₽: 0,00 → 50,00"


def test_an_overdraft_that_is_used_is_not_taken_away(operator):
    client = make_client(balance="10")
    Account.objects.filter(client=client).update(credit_limit=roubles("50"), held=roubles("30"))

    answer = edit_wallet(operator, client, credit_limit="19")

    assert "Не меньше 20,00 ₽" in answer.content.decode()
    assert ledger.wallet_of(client).credit_limit == roubles("50")


def test_money_that_came_while_a_wallet_was_edited_stays(operator, rf):
    client = make_client()
    desk, request = site.get_model_admin(Account), rf.post("/")
    request.user = User.objects.get()
    form = desk.get_form(request, client.wallet)({**LIMITS, "credit_limit": "5"}, instance=client.wallet)

    ledger.top_up(client, roubles("10"), cause="payment 1")
    assert form.is_valid()
    desk.save_model(request, form.instance, form, True)

    wallet = ledger.wallet_of(client)
    assert (wallet.credit_limit, wallet.balance) == (roubles("5"), roubles("10"))


def test_who_may_only_see_a_wallet_gives_no_overdraft():
    client = make_client()

    assert edit_wallet(clerks_browser("view_account"), client, credit_limit="50").status_code == 403
    assert ledger.wallet_of(client).credit_limit == 0


# --- Caps --------------------------------------------------------------------------------------------


def test_a_key_gets_its_cap_on_its_own_page(operator):
    key, _ = make_key()
    cap = {"cap-TOTAL_FORMS": 1, "cap-INITIAL_FORMS": 0, "cap-0-amount": "100,5", "cap-0-reset": "daily"}

    operator.post(reverse("admin:accounts_apikey_change", args=[key.pk]), {"label": key.label, **cap})

    assert (key.cap.amount, key.cap.reset) == (roubles("100.5"), Reset.DAILY)


def test_a_keys_page_shows_what_is_spent_of_its_cap(operator):
    key, _ = make_key()
    Cap.objects.create(key=key, amount=roubles("100"))
    KeyDay.objects.create(key=key, client=key.client, day="2026-01-01", cost=roubles("12.5"))

    page = operator.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()

    assert "12,50" in page


# --- Promo codes -------------------------------------------------------------------------------------


def edit_promo(operator: Browser, promo: PromoCode, **typed: str):
    form = {"code": promo.code, "amount": "100", "max_uses": "5", "is_enabled": "on", **typed}
    return operator.post(reverse("admin:billing_promocode_change", args=[promo.pk]), form)


def test_a_promo_code_is_added(operator):
    form = {"code": "ЛЕТО", "amount": "100", "max_uses": "5", "is_enabled": "on"}

    operator.post(reverse("admin:billing_promocode_add"), form)

    promo = PromoCode.objects.get()
    assert (promo.code, promo.amount, promo.max_uses) == ("ЛЕТО", roubles("100"), 5)


@pytest.mark.parametrize(("used", "amount"), [(0, "7"), (1, "100")])
def test_the_amount_of_a_code_is_fixed_by_its_first_use(operator, used, amount):
    promo = PromoCode.objects.create(code="ЛЕТО", amount=roubles("100"), max_uses=5, used=used)

    edit_promo(operator, promo, amount="7")

    promo.refresh_from_db()
    assert promo.amount == roubles(amount)


def test_a_code_is_not_limited_to_fewer_than_have_used_it(operator):
    promo = PromoCode.objects.create(code="ЛЕТО", amount=roubles("100"), max_uses=5, used=3)

    answer = edit_promo(operator, promo, max_uses="2")

    assert "Не меньше 3" in answer.content.decode()


def test_the_list_of_codes_tells_how_often_they_were_used(operator):
    PromoCode.objects.create(code="ЛЕТО", amount=roubles("100"), max_uses=5, used=3)

    assert "3 из 5" in operator.get(reverse("admin:billing_promocode_changelist")).content.decode()


# --- History -----------------------------------------------------------------------------------------


def test_a_generation_shows_what_it_cost_and_what_is_left_of_it(operator):
    generation = make_generation(
        cost=roubles("10"),
        held=roubles("12"),
        refunded=roubles("2"),
        own_cost=roubles("3.25"),
        price={"prompt": roubles("500")},
    )

    page = operator.get(reverse("admin:billing_generation_change", args=[generation.pk])).content.decode()

    for shown in (">10,00<", ">12,00<", ">2,00<", ">3,25<", ">4,75<", "₽ за 1 млн токенов: 500,00"):
        assert shown in page


def test_a_day_outlives_its_key_on_the_desk(operator):
    key, _ = make_key(make_client("Ромашка"))
    KeyDay.objects.create(key=key, client=key.client, day="2026-01-01", cost=roubles("12.5"))
    key.delete()

    page = operator.get(reverse("admin:billing_keyday_changelist")).content.decode()

    assert "12,50" in page
