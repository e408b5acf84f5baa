"""The second signature on the desk: who is asked, who may answer, what the pages say."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, User
from billing import ledger
from billing.models import Account, Payment, PromoBatch, PromoCode, Proposal, ProposalState
from billing.money import as_roubles, roubles
from tests.builders import cells, clerks_browser, make_client, make_generation, operators_browser
from tests.database import own_connection, somebody_waits
from tests.e2e.installation import wait_until

pytestmark = pytest.mark.django_db

LIST = "admin:billing_proposal_changelist"


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


@pytest.fixture
def signer() -> Browser:
    return clerks_browser("view_proposal", "confirm_movement")


def balance(client: Client) -> str:
    return as_roubles(ledger.wallet_of(client).balance)


def correct(browser: Browser, client: Client, amount: str, step: str = "move"):
    sent = {"amount": amount, "reason": "акт 7", "token": str(uuid4()), "step": step}
    address = reverse("admin:billing_account_correct", args=[client.wallet.pk])
    return browser.post(address, sent, follow=True)


def asked_by(browser: Browser, client: Client, amount: str = "150000") -> Proposal:
    correct(browser, client, amount)
    return Proposal.objects.latest("pk")


def page(browser: Browser, asked: Proposal) -> str:
    return browser.get(reverse("admin:billing_proposal_change", args=[asked.pk])).content.decode()


def decide(browser: Browser, asked: Proposal, **typed: str):
    return browser.post(reverse("admin:billing_proposal_decide", args=[asked.pk]), typed, follow=True)


def said(answer) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


# --- Asking ------------------------------------------------------------------------------------------


def test_a_large_correction_waits_and_says_so_before_and_after(operator):
    client = make_client()

    looked = correct(operator, client, "100000,01", step="look")
    done = correct(operator, client, "100000,01")

    assert "Деньги двинутся, когда это подтвердит другой оператор." in looked.content.decode()
    assert "Ждёт второй подписи: 100\xa0000,01 ₽" in said(done)
    assert (balance(client), Proposal.objects.get().state) == ("0", ProposalState.WAITING)
    logged = LogEntry.objects.get().get_change_message()
    assert "предложено, ждёт второй подписи, 100\xa0000,01 ₽. акт 7" in logged


def test_a_large_refund_waits(operator):
    generation = make_generation(make_client(), cost=roubles("200000"))
    sent = {"amount": "150000", "reason": "сбой", "token": str(uuid4()), "step": "move"}

    operator.post(reverse("admin:billing_generation_refund", args=[generation.pk]), sent)

    assert Proposal.objects.get().generation == generation.pk
    assert balance(generation.client) == "0"


def test_a_large_payment_waits_and_is_entered_when_it_is_signed(operator, signer):
    client = make_client()
    form = {"number": "п-17", "client": client.pk, "amount": "100000,50", "reason": "счёт 7"}
    form |= {"received_at_0": "01.11.2026", "received_at_1": "12:00:00"}

    for _ in range(2):
        answer = operator.post(reverse("admin:billing_payment_add"), form, follow=True)
    assert "Ждёт второй подписи" in said(answer)
    assert not Payment.objects.exists()
    decide(signer, Proposal.objects.get(), confirm="")

    assert balance(client) == "100000.5"
    assert Payment.objects.get().received_at == timezone.make_aware(timezone.datetime(2026, 11, 1, 12))


# --- Answering ---------------------------------------------------------------------------------------


def test_another_operator_sees_what_will_be_and_signs(operator, signer):
    client = make_client("Ромашка", balance="10")
    asked = asked_by(operator, client)

    assert "150\u00a0010,00" in page(signer, asked)
    answer = decide(signer, asked, confirm="")

    assert "Подтверждено и проведено: 150\xa0000,00 ₽, Ромашка." in said(answer)
    assert balance(client) == "150010"
    assert LogEntry.objects.latest("pk").object_id == str(asked.pk)


def test_signing_anew_moves_nothing(operator, signer):
    client = make_client()
    asked = asked_by(operator, client)
    decide(signer, asked, confirm="")

    assert "Ничего не проведено. Уже решено: проведено." in said(decide(signer, asked, confirm=""))
    assert balance(client) == "150000"


def test_nobody_signs_his_own_not_even_who_may_do_anything(operator):
    client = make_client()
    asked = asked_by(operator, client)

    assert 'id="confirm"' not in page(operator, asked)
    assert "вторую подпись ставит другой оператор" in said(decide(operator, asked, confirm=""))
    assert balance(client) == "0"


def test_a_new_role_does_not_make_another_person_of_one(operator):
    clerk = clerks_browser("view_account", "correct_balance")
    client = make_client()
    asked = asked_by(clerk, client)
    User.objects.filter(pk=asked.asked_by_id).update(is_superuser=True)

    assert "вторую подпись ставит другой оператор" in said(decide(clerk, asked, confirm=""))
    assert balance(client) == "0"


def test_who_asked_takes_it_back_without_any_right_to_sign():
    clerk = clerks_browser("view_account", "correct_balance", "view_proposal")
    asked = asked_by(clerk, make_client())

    assert "Отозвать" in page(clerk, asked)
    decide(clerk, asked, decline="", why="ошибся клиентом")

    asked.refresh_from_db()
    assert (asked.state, asked.decision) == (ProposalState.DECLINED, "ошибся клиентом")


def test_declining_takes_a_reason(operator, signer):
    asked = asked_by(operator, make_client())

    assert "Напишите, почему отклоняете." in said(decide(signer, asked, decline="", why=" "))
    decide(signer, asked, decline="", why="нет акта")

    assert "нет акта" in page(operator, asked)
    assert "Уже решено: отклонено." in said(decide(signer, asked, confirm=""))


def test_what_can_no_longer_be_done_says_so_and_has_no_button(operator, signer):
    client = make_client(balance="150000")
    asked = asked_by(operator, client, "-150000")
    correct(clerks_browser("view_account", "correct_balance"), client, "-1")

    shown = page(signer, asked)

    assert "Сейчас это провести нельзя" in shown
    assert 'id="confirm"' not in shown
    assert "Ничего не проведено. Сумма больше" in said(decide(signer, asked, confirm=""))
    assert balance(client) == "149999"


@pytest.mark.parametrize(
    "permissions", [["view_proposal"], ["confirm_movement"], ["view_proposal", "correct_balance"]]
)
@pytest.mark.parametrize("typed", [{"confirm": ""}, {"decline": "", "why": "x"}], ids=["confirm", "decline"])
def test_who_may_not_sign_decides_nothing(operator, permissions, typed):
    client = make_client()
    asked = asked_by(operator, client)

    assert decide(clerks_browser(*permissions), asked, **typed).status_code == 403
    assert (balance(client), Proposal.objects.waiting().count()) == ("0", 1)


def test_a_link_decides_nothing(operator, signer):
    asked = asked_by(operator, make_client())

    assert signer.get(reverse("admin:billing_proposal_decide", args=[asked.pk])).status_code == 405


# --- The list ----------------------------------------------------------------------------------------


def test_the_menu_counts_what_waits_for_who_may_see_it(operator, signer):
    assert _badge(signer) == ""
    asked_by(operator, make_client())
    asked_by(operator, make_client())

    assert _badge(signer) == "2"
    assert "На подпись" not in clerks_browser("view_account").get(reverse("admin:index")).content.decode()


def _badge(browser: Browser) -> str:
    menu = browser.get(reverse("admin:index")).content.decode().partition("На подпись</span>")[2]
    return menu.partition("</a>")[0].partition("<span")[2].partition(">")[2].partition("<")[0]


def test_what_is_over_is_listed_as_such(operator):
    asked = asked_by(operator, make_client())
    Proposal.objects.filter(pk=asked.pk).update(expires_at=timezone.now())

    listed = operator.get(reverse(LIST)).content.decode()

    assert cells(listed, "status") == ["истекло"]
    assert 'id="decision"' not in page(operator, asked)


# --- Promo codes and overdrafts ----------------------------------------------------------------------


def issue(browser: Browser, **typed: str):
    form = {"note": "ярмарка", "amount": "1000", "count": "101", "max_uses": "1", "prefix": "", **typed}
    return browser.post(reverse("admin:billing_promobatch_add"), form, follow=True)


def add_code(browser: Browser, code: str, amount: str, uses: str = "1"):
    form = {"code": code, "amount": amount, "max_uses": uses, "is_enabled": "on"}
    return browser.post(reverse("admin:billing_promocode_add"), form)


def edit_code(browser: Browser, promo: PromoCode, **typed: str):
    form = {"code": promo.code, "amount": as_roubles(promo.amount), "max_uses": promo.max_uses, **typed}
    return browser.post(reverse("admin:billing_promocode_change", args=[promo.pk]), form)


def set_overdraft(browser: Browser, client: Client, limit: str, **typed: str):
    form = {"credit_limit": limit, "alert_below": "100", "reason": "", **typed}
    return browser.post(reverse("admin:billing_account_change", args=[client.wallet.pk]), form, follow=True)


def limit_of(client: Client) -> str:
    return as_roubles(ledger.wallet_of(client).credit_limit)


def test_a_large_batch_waits_is_looked_at_and_signed_by_another(operator, signer):
    issued = issue(operator)
    asked, batch = Proposal.objects.get(), PromoBatch.objects.get()
    shown = operator.get(reverse("admin:billing_promobatch_change", args=[batch.pk])).content.decode()
    seen = page(signer, asked)

    done = decide(signer, asked, confirm="")

    assert "Партия ждёт второй подписи" in said(issued)
    assert batch.codes.first().code in issued.content.decode()
    assert "под партией нет второй подписи" in shown and "Включить партию" not in shown
    assert "Подтвердить и включить коды" in seen and "101\u00a0000,00" in seen
    assert batch.codes.first().code not in seen
    assert "Подтверждено. Партия промокодов: 101\xa0000,00 ₽, ярмарка." in said(done)
    assert batch.codes.filter(is_enabled=True).count() == 101


def test_codes_that_nobody_has_signed_are_switched_on_by_no_page(operator, signer):
    issue(operator)
    batch, code = PromoBatch.objects.get(), PromoCode.objects.first()
    switch = reverse("admin:billing_promobatch_switch", args=[batch.pk])

    for _ in ("waiting", "declined"):
        refused = operator.post(switch, {"on": ""}, follow=True)
        kept = edit_code(operator, code, is_enabled="on")
        assert "нет второй подписи" in said(refused)
        assert kept.context["adminform"].form.errors.keys() == {"is_enabled"}
        decide(signer, Proposal.objects.get(), decline="", why="дорого")

    assert not batch.codes.filter(is_enabled=True).exists()
    listed = operator.get(reverse("admin:billing_promobatch_changelist")).content.decode()
    assert cells(listed, "on") == ["не подписана"]


def test_single_codes_count_with_batches_and_among_themselves(operator):
    issue(operator, count="40")
    add_code(operator, "ЛЕТО", "50000")

    many = add_code(operator, "ОСЕНЬ", "100", uses="101")
    alone = add_code(operator, "ЗИМА", "10000")

    assert "Выпустите партию" in many.content.decode()
    assert alone.status_code == 302
    assert {*PromoCode.objects.filter(batch=None).values_list("code", flat=True)} == {"ЛЕТО", "ЗИМА"}


def test_a_code_that_is_raised_counts_anew_and_one_of_a_batch_is_not_raised(operator):
    old = PromoCode.objects.create(code="ЛЕТО", amount=roubles("1"), max_uses=1)
    issue(operator, count="40")

    refused = edit_code(operator, old, amount="60001")
    raised = edit_code(operator, old, amount="60000")
    again = edit_code(operator, old, amount="60000", max_uses="2")
    of_batch = edit_code(operator, PromoCode.objects.exclude(batch=None).first(), max_uses="2")

    assert [each.status_code for each in (refused, raised, again, of_batch)] == [200, 302, 200, 200]
    assert "дороже не становятся" in of_batch.content.decode()
    old.refresh_from_db()
    assert (old.worth, old.issued_by.email) == (roubles("60000"), "operator@xrouter.example")


@pytest.mark.django_db(transaction=True)
def test_two_edits_at_once_multiply_nothing_and_a_note_leaves_the_raise_to_who_raised():
    promo = PromoCode.objects.create(code="ЛЕТО", amount=roubles("1"), max_uses=1)
    rights = ("view_promocode", "change_promocode")
    first, dear, noting = operators_browser(), clerks_browser(*rights), clerks_browser(*rights)

    @own_connection()
    def edit(browser: Browser, typed: dict[str, str]) -> int:
        return edit_code(browser, promo, is_enabled="on", **typed).status_code

    with ThreadPoolExecutor(2) as later:
        with transaction.atomic():
            edit_code(first, promo, is_enabled="on", max_uses="100000")
            done = [later.submit(edit, dear, {"amount": "100000"}), later.submit(edit, noting, {"note": "x"})]
            assert wait_until(lambda: somebody_waits() == 2)
        assert [each.result() for each in done] == [200, 302]

    promo.refresh_from_db()
    assert (promo.worth, promo.note, promo.issued_by.email) == (
        roubles("100000"),
        "x",
        "operator@xrouter.example",
    )


def test_codes_of_more_than_the_books_can_hold_are_refused(operator):
    batch = issue(operator, amount="1000000000", count="10000", max_uses="1000000")
    code = add_code(operator, "ЛЕТО", "1000000000", uses="2000000000")

    assert batch.context["form"].errors.keys() == {"count"}
    assert code.context["adminform"].form.errors.keys() == {"max_uses"}


def test_an_overdraft_above_the_threshold_needs_a_reason_and_a_second_signature(operator, signer):
    client = make_client("Ромашка")

    mute = set_overdraft(operator, client, "150000")
    asked = set_overdraft(operator, client, "150000", reason="договор 7", alert_below="7")
    twice = set_overdraft(operator, client, "160000", reason="договор 8")

    assert mute.context["adminform"].form.errors.keys() == {"reason"}
    assert "Ждёт второй подписи: овердрафт 150\xa0000,00 ₽." in said(asked)
    assert "уже ждёт второй подписи" in twice.content.decode()
    assert (limit_of(client), as_roubles(ledger.wallet_of(client).alert_below)) == ("0", "7")
    proposal = Proposal.objects.get()
    assert "Подтвердить овердрафт 150\u00a0000,00" in page(signer, proposal)
    assert "Подтверждено. Овердрафт: 150\xa0000,00 ₽, Ромашка." in said(decide(signer, proposal, confirm=""))
    assert limit_of(client) == "150000"


def test_the_list_adds_up_what_moves_and_no_limits_and_shows_those_without_a_sign(operator):
    issue(operator)
    set_overdraft(operator, make_client("Ромашка"), "200000", reason="договор 7")
    asked_by(operator, make_client("Лопух"))

    answer = operator.get(reverse(LIST))

    assert [each["value"] for each in answer.context["totals"]["sums"]] == [roubles("150000")]
    shown = answer.content.decode()
    told = ["+150\xa0000,00\xa0₽", "200\xa0000,00\xa0₽", "101\xa0000,00\xa0₽"]
    assert cells(shown, "signed") == [" ".join(each.split()) for each in told]
    assert cells(shown, "whose") == ["Лопух", "Ромашка", "ярмарка"]


@pytest.mark.parametrize("limit", ["100000", "0"])
def test_up_to_the_threshold_or_down_an_overdraft_is_set_at_once(operator, limit):
    client = make_client()
    Account.objects.filter(client=client).update(credit_limit=roubles("50000"))

    set_overdraft(operator, client, limit)

    assert limit_of(client) == limit
    assert not Proposal.objects.exists()


def test_who_only_reads_a_wallet_sees_no_field_for_a_reason():
    reader = clerks_browser("view_account")

    answer = reader.get(reverse("admin:billing_account_change", args=[make_client().wallet.pk]))

    assert answer.status_code == 200
    assert "id_reason" not in answer.content.decode()
