"""Operators at work with money, in a real browser: each of the jobs from the first click to the last."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Client, User
from billing import ledger
from billing.models import Account, AccountKind, PromoCode, Transfer
from billing.money import as_roubles, roubles
from tests.browsing import portal
from tests.builders import make_client, open_our_accounts

pytestmark = pytest.mark.django_db(transaction=True)


def operator(name: str) -> User:
    return User.objects.create_superuser(f"{name}@xrouter.example")


def wallet_page(client: Client) -> str:
    return reverse("admin:billing_account_change", args=[client.wallet.pk])


def correct(page: Page, amount: str, last: str) -> None:
    page.get_by_role("link", name="Исправить остаток").click()
    page.get_by_label("Сумма, ₽").fill(amount)
    page.get_by_label("Причина").fill("акт сверки 7")
    page.get_by_role("button", name="Дальше").click()
    expect(page.locator("#movement table")).to_contain_text("Станет")
    page.get_by_role("button", name=last).click()


def downloaded(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_a_small_correction_is_made_alone_and_a_large_one_by_two(live_server: Any) -> None:
    open_our_accounts()
    client, first, second = make_client("Ромашка", balance="10"), operator("first"), operator("second")
    address, proposals = wallet_page(client), reverse("admin:billing_proposal_changelist")

    with portal(live_server, first, address) as page:
        correct(page, "5,50", "Провести")
        expect(page.get_by_text("Проведено: 5,50 ₽.")).to_be_visible()
        expect(page.locator("#wallet")).to_contain_text("15,50")
        correct(page, "150000", "Отправить на подпись")
        expect(page.get_by_text("Ждёт второй подписи: 150\u00a0000,00 ₽.")).to_be_visible()
        expect(page.locator("#wallet")).to_contain_text("15,50")
        page.get_by_label("Овердрафт, ₽").fill("200000")
        page.get_by_label("Причина").fill("договор 7")
        page.get_by_role("button", name="Сохранить и продолжить").click()
        expect(page.get_by_text("Ждёт второй подписи: овердрафт 200\u00a0000,00 ₽.")).to_be_visible()
        page.goto(live_server.url + proposals)
        page.locator("#result_list .field-asked_at a").last.click()
        expect(page.get_by_text("вторую подпись ставит другой оператор")).to_be_visible()
        expect(page.locator("#confirm")).to_have_count(0)
    with portal(live_server, second) as page:
        page.get_by_role("link", name="На подпись 2").click()
        page.locator("#result_list .field-asked_at a").last.click()
        expect(page.locator("#decision")).to_contain_text("150\u00a0015,50")
        page.get_by_role("button", name="Подтвердить и провести").click()
        expect(page.get_by_text("Подтверждено и проведено: 150\u00a0000,00 ₽, Ромашка.")).to_be_visible()
        page.get_by_role("link", name="На подпись 1").click()
        page.locator("#result_list .field-asked_at a").first.click()
        page.get_by_role("button", name="Подтвердить овердрафт").click()
        expect(page.get_by_text("Подтверждено. Овердрафт: 200\u00a0000,00 ₽, Ромашка.")).to_be_visible()

    wallet = ledger.wallet_of(client)
    assert (as_roubles(wallet.balance), as_roubles(wallet.credit_limit)) == ("150015.5", "200000")


def test_transfers_of_a_client_in_a_time_are_found_added_up_and_taken_away(live_server: Any) -> None:
    open_our_accounts()
    client, person = make_client("Ромашка"), operator("first")
    for owner, amount, day in (
        (client, "1", 1),
        (client, "20,5", 2),
        (client, "300", 3),
        (make_client(), "7", 2),
    ):
        Transfer.objects.create(
            debit=Account.objects.get(kind=AccountKind.PAYMENTS_IN),
            credit=owner.wallet,
            amount=roubles(amount.replace(",", ".")),
            code="top_up",
            cause=f"payment {amount}",
            created_at=timezone.make_aware(datetime.fromisoformat(f"2026-11-0{day} 12:00")),
        )

    with portal(live_server, person) as page:
        page.locator("#nav-sidebar-apps").get_by_role("link", name="Переводы").click()
        page.locator("#changelist a", has_text="Фильтры").click()
        dates = page.locator("#changelist-filter input[name^=created_at_]")
        dates.nth(0).fill("01.11.2026")
        dates.nth(2).fill("02.11.2026")
        page.locator("#changelist-filter .select2-selection").last.click()
        page.locator(".select2-search__field").fill("Ромаш")
        page.locator(".select2-results__option", has_text="Ромашка").click()
        page.locator("#changelist-filter button[type=submit]").click()
        expect(page.locator("#totals")).to_contain_text("21,50")
        expect(page.locator("#result_list .field-signed")).to_have_text(["+20,50\u00a0₽", "+1,00\u00a0₽"])
        lines = downloaded(page, "Выгрузить CSV").splitlines()

    assert [line.split(";")[3] for line in lines[1:]] == ["20,5", "1"]


def test_a_batch_of_codes_is_issued_downloaded_and_switched_off(live_server: Any) -> None:
    open_our_accounts()
    person = operator("first")

    with portal(live_server, person, reverse("admin:billing_promobatch_changelist")) as page:
        page.goto(live_server.url + reverse("admin:billing_promobatch_add"))
        page.get_by_label("Для чего").fill("Конференция")
        page.get_by_label("Сумма одного кода, ₽").fill("500")
        page.get_by_label("Сколько кодов").fill("12")
        page.get_by_label("Начало кода").fill("nov")
        page.get_by_role("button", name="Выпустить").click()
        expect(page.locator("#codes li")).to_have_count(12)
        shown = page.locator("#codes li").all_inner_texts()
        lines = downloaded(page, "Скачать CSV").splitlines()
        page.get_by_role("link", name="К партии").click()
        page.get_by_role("button", name="Выключить партию").click()
        expect(page.get_by_text("Выключено кодов: 12.")).to_be_visible()

    assert [line.split(";")[0] for line in lines[1:]] == shown
    assert not PromoCode.objects.filter(is_enabled=True).exists()
