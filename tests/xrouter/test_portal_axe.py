"""Whether the portal can be used by who does not see it as we do, by axe's rules: one server, one log-in."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import Announcement, User
from billing import ledger
from billing.models import Payment
from billing.money import roubles
from monitoring.models import Incident
from tests.browsing import portal
from tests.builders import (
    make_client,
    make_credential,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    make_tariff,
    make_user,
    open_our_accounts,
)

GRAVE = {"serious", "critical"}
# All tabs of a page at once, and no colour on its way to another.
UNFOLDED = """
[x-show*="activeTab"], [x-show*="activeFieldsetTab"] { display: block !important }
* { transition: none !important }
"""
BROKEN = "title => title.innerHTML = '<button></button><b style=\"color: #555; background: #444\">Вход</b>'"
EVERYTHING = {"resultTypes": ["violations"]}
COLOURS = {**EVERYTHING, "runOnly": ["color-contrast"]}


def fill() -> dict[str, str]:
    """Something for each page to show; the pages by name."""
    open_our_accounts()
    client = make_client("Ромашка", balance="1000")
    make_client("Лютик", is_active=False)
    make_key(client)
    ledger.credit(Payment.objects.create(number="п-1", client=client, amount=roubles("50"), reason="счёт 1"))
    ledger.correct(client, roubles("-7"), cause="correction 1", note="акт 7", by="operator")
    provider = make_provider("gigachat", adapter="gigachat")
    make_credential(provider)
    model = make_model("gigachat/pro", aliases=("pro",), quality={"general": 60})
    make_endpoint(model, provider, own_tariff=make_tariff("900", "100"))
    make_model("gigachat/off", is_enabled=False, visible_to="clients").clients.add(client)
    generation = make_generation(client, cost=roubles("3"), tokens_prompt=100, duration_ms=900)
    make_generation(client, status="failed", http_status=502, error_type="TimedOut", streamed=True)
    Announcement.objects.create(text="Работы в ночь", starts_at=timezone.now())
    Incident.objects.create(title="gigachat не отвечает")
    return {
        name: reverse(f"admin:{address}", args=args)
        for name, address, *args in (
            ("start", "index"),
            ("generations", "billing_generation_changelist"),
            ("generation", "billing_generation_change", generation.pk),
            ("clients", "accounts_client_changelist"),
            ("client", "accounts_client_change", client.pk),
            ("models", "routing_model_changelist"),
            ("model", "routing_model_change", model.pk),
            ("price", "routing_model_price", model.pk),
            ("providers", "providers_provider_changelist"),
            ("provider now", "providers_provider_state", provider.pk),
            ("provider", "providers_provider_change", provider.pk),
            ("transfers", "billing_transfer_changelist"),
            ("payments", "billing_payment_changelist"),
            ("journal", "accounts_change_changelist"),
            ("people", "accounts_user_changelist"),
            ("person", "accounts_user_change", make_user(is_staff=True).pk),
            ("wallet", "billing_account_change", client.wallet.pk),
            ("proposals", "billing_proposal_changelist"),
            ("batch", "billing_promobatch_add"),
            ("notices", "accounts_announcement_changelist"),
        )
    }


def grave(page: Page, options: dict[str, Any]) -> list[str]:
    """Each fault by its rule, where it is, and what axe says of it."""
    return [
        f"{each['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for each in Axe().run(page, options=options).response["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


@pytest.mark.django_db(transaction=True)
def test_no_page_of_the_portal_has_a_grave_fault_in_either_scheme(live_server):
    operator = User.objects.create_superuser("operator@xrouter.example")
    pages, faults = fill(), {}

    with portal(live_server, operator, bypass_csp=True) as page:
        for name, address in pages.items():
            page.goto(live_server.url + address)
            page.add_style_tag(content=UNFOLDED)
            faults[name, "light"] = grave(page, EVERYTHING)
            if name == "generations":
                page.locator("#changelist a", has_text="Фильтры").click()
                page.locator("#changelist-filter").wait_for()
                faults["filters", "light"] = grave(page, EVERYTHING)
            page.evaluate("document.documentElement.classList.add('dark')")
            faults[name, "dark"] = grave(page, COLOURS)
        page.context.clear_cookies()
        page.goto(f"{live_server.url}/login/")
        faults["login", "light"] = grave(page, EVERYTHING)
        page.emulate_media(color_scheme="dark")
        faults["login", "dark"] = grave(page, COLOURS)
        page.locator("h1").evaluate(BROKEN)
        broken = {each.partition(" ")[0] for each in grave(page, EVERYTHING)}

    assert {where: told for where, told in faults.items() if told} == {}
    assert broken == {"button-name", "color-contrast"}  # it would have seen them
