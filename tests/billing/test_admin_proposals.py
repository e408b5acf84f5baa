"""The second signature on the desk: who is asked, who may answer, what the pages say."""

from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, User
from billing import ledger
from billing.models import Payment, Proposal, ProposalState
from billing.money import as_roubles, roubles
from tests.builders import cells, clerks_browser, make_client, make_generation, operators_browser

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
    assert "Ждёт второй подписи: 100000.01 ₽" in said(done)
    assert (balance(client), Proposal.objects.get().state) == ("0", ProposalState.WAITING)
    assert (
        "предложено, ждёт второй подписи, 100000.01 ₽. акт 7" in LogEntry.objects.get().get_change_message()
    )


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

    assert "Подтверждено и проведено: 150000 ₽, Ромашка." in said(answer)
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
