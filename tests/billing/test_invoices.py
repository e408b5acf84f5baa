"""Requests for an invoice: asked by customers, answered by operators, credited once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import pytest
from django.db import DatabaseError, transaction
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import Change, Client, Membership, Role, User
from billing import incoming_invoices, invoices, ledger, proposals
from billing.errors import BillingError, CauseReused, InvoiceOver, TooManyInvoices
from billing.incoming_invoices import BankPaper
from billing.models import Event, Invoice, InvoiceStep, Payment, Proposal
from billing.money import as_roubles, roubles
from tests.builders import alice, clerks_browser, eve, make_client, make_user, open_our_accounts, romashka
from tests.database import own_connection

pytestmark = pytest.mark.django_db

TYPED = {
    "amount": "1500,50",
    "company": "ООО «Ромашка»",
    "inn": "7707 083 893",
    "kpp": "773601001",
    "address": "Москва, ул. Примерная, 1",
    "email": "buh@romashka.example",
}
PAPER = BankPaper("17", date(2026, 11, 1))
NUMBER = "п/п 17 от 01.11.2026, ИНН 7707083893"
CLERK = ("view_invoice", "confirm_invoice")


@pytest.fixture
def home(client) -> Client:
    client.force_login(alice())
    return romashka()


def asked(owner: Client, amount: str = "1500.50", **facts: str) -> Invoice:
    told = {"company": "ООО «Ромашка»", "inn": "7707083893", "kpp": "773601001", "address": "Москва"}
    told |= {"email": "buh@romashka.example", "created_by": "alice@romashka.example", **facts}
    return invoices.request(Invoice(client=owner, amount=roubles(amount), **told))


def operator() -> User:
    return make_user(is_staff=True, is_superuser=True)


def balance(owner: Client) -> str:
    return as_roubles(ledger.wallet_of(owner).balance)


def ask(browser: Browser, owner: Client, **typed: str):
    return browser.post(f"/dashboard/{owner.pk}/billing/invoices/new/", {**TYPED, **typed})


# --- Asking ------------------------------------------------------------------------------------------


def test_a_request_has_a_number_and_is_followed(client, home):
    answer = ask(client, home)

    invoice = home.invoices.get()
    assert answer["location"] == f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/"
    assert (invoice.amount, invoice.inn, invoice.state) == (roubles("1500.5"), "7707083893", "requested")
    page = client.get(answer["location"]).content.decode()
    for text in (f"Заявка № {invoice.pk}", "запрошен", "alice@romashka.example", "Оператор пришлёт счёт"):
        assert text in page
    assert balance(home) == "0"


def test_a_request_is_numbered_in_the_language_of_the_page(client, home):
    invoice = asked(home)
    pages = [
        client.get(f"/dashboard/{home.pk}/billing/invoices/", headers={"accept-language": language})
        for language in ("ru", "en")
    ]

    russian, english = (page.content.decode() for page in pages)
    assert f">№ {invoice.pk}</a>" in russian
    assert f">No. {invoice.pk}</a>" in english


def test_where_the_operator_has_told_them_requisites_stand_beside(client, home, settings):
    settings.XROUTER_OPERATOR, settings.XROUTER_OPERATOR_BANK = "ООО «Оператор»", "р/с 407\nБИК 044"
    invoice = asked(home)

    page = client.get(f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/").content.decode()

    assert "р/с 407<br>БИК 044" in page
    assert f"Оплата по заявке № {invoice.pk}" in page
    assert "а не счёт" in page


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"amount": "99,99"}, "amount"),
        ({"amount": "10000000,01"}, "amount"),
        ({"amount": "100,001"}, "amount"),
        ({"amount": "1e3000"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"inn": "7707083894"}, "inn"),
        ({"kpp": ""}, "kpp"),
        ({"inn": "500100732259"}, "kpp"),
        ({"company": ""}, "company"),
        ({"address": ""}, "address"),
        ({"email": "buh"}, "email"),
    ],
)
def test_what_makes_no_sense_is_told_beside_its_field(client, home, typed, field):
    answer = ask(client, home, **typed)

    assert list(answer.context["form"].errors) == [field]
    assert not Invoice.objects.exists()


def test_a_sole_trader_has_no_kpp(client, home):
    ask(client, home, inn="500100732259", kpp="", amount="100")

    assert home.invoices.get().kpp == ""


def test_the_next_request_begins_with_what_was_said(client, home):
    asked(home, address="Тверь")

    assert 'value="Тверь"' in client.get(f"/dashboard/{home.pk}/billing/invoices/new/").content.decode()


def test_so_many_wait_and_no_more(client, home):
    for _ in range(invoices.MOST_OPEN):
        asked(home)

    with pytest.raises(TooManyInvoices):
        asked(home)
    assert "Открытых заявок уже пять" in ask(client, home).content.decode()
    invoices.withdraw(home.invoices.first().pk, "alice@romashka.example")
    asked(home)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ACCOUNTANT, Role.DEVELOPER])
def test_who_pays_asks_and_developers_look(home, role):
    invoice, person, browser = asked(home), make_user(), Browser()
    Membership.objects.create(user=person, client=home, role=role)
    browser.force_login(person)

    assert browser.get(f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/").status_code == 200
    assert ask(browser, home).status_code == (403 if role == Role.DEVELOPER else 302)
    withdrawn = browser.post(f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/withdraw/")
    assert withdrawn.status_code == (403 if role == Role.DEVELOPER else 302)


def test_eve_finds_nothing_of_romashkas(client, home):
    invoice = asked(home)
    client.force_login(eve())
    own = eve().clients.get()

    for owner in (home, own):
        base = f"/dashboard/{owner.pk}/billing/invoices/{invoice.pk}/"
        assert client.get(base).status_code == 404
        assert client.post(f"{base}withdraw/").status_code == 404
    invoice.refresh_from_db()
    assert invoice.state == "requested"


def test_a_request_is_withdrawn_once(client, home):
    invoice = asked(home)
    path = f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/"

    assert "Заявка отозвана." in client.post(f"{path}withdraw/", follow=True).content.decode()
    assert "Заявка уже закрыта: отозван." in client.post(f"{path}withdraw/", follow=True).content.decode()
    assert [step.state for step in invoice.steps.all()] == ["requested", "withdrawn"]


# --- The operator's answer -----------------------------------------------------------------------------


def test_a_payment_that_is_confirmed_is_credited_once(home):
    invoice, by = asked(home), operator()

    paid = incoming_invoices.confirm(invoice.pk, PAPER, by)

    assert (paid.state, paid.payment.number, balance(home)) == ("paid", NUMBER, "1500.5")
    with pytest.raises(InvoiceOver):
        incoming_invoices.confirm(invoice.pk, PAPER, by)
    assert balance(home) == "1500.5"
    told = Event.objects.get(kind="invoice.paid")
    assert told.facts == {"number": invoice.pk, "amount": "1500.5", "currency": "RUB"}
    assert [step.state for step in invoice.steps.all()] == ["requested", "paid"]


def test_one_bank_paper_pays_one_request(home):
    first, second, by = asked(home), asked(home), operator()
    incoming_invoices.confirm(first.pk, PAPER, by)

    with pytest.raises(CauseReused):
        incoming_invoices.confirm(second.pk, PAPER, by)
    assert balance(home) == "1500.5"


def test_a_large_payment_waits_for_another_operator(home):
    invoice, by = asked(home, "150000"), operator()

    waits = incoming_invoices.confirm(invoice.pk, PAPER, by)

    assert waits.is_being_paid and balance(home) == "0"
    for act in (
        lambda: incoming_invoices.confirm(invoice.pk, PAPER, by),
        lambda: invoices.refuse(invoice.pk, "x", "нет"),
        lambda: invoices.withdraw(invoice.pk, "x"),
    ):
        with pytest.raises(InvoiceOver):
            act()
    proposals.confirm(Proposal.objects.get().pk, operator())
    invoice.refresh_from_db()
    assert (invoice.state, balance(home), Payment.objects.get().invoice) == ("paid", "150000", invoice)


def test_a_large_payment_that_is_declined_leaves_the_request_open(home):
    invoice, by = asked(home, "150000"), operator()
    incoming_invoices.confirm(invoice.pk, PAPER, by)
    proposals.decline(Proposal.objects.get().pk, operator(), "не тот платёж")

    again = incoming_invoices.confirm(invoice.pk, PAPER, by)

    assert again.is_being_paid
    proposals.decline(Proposal.objects.first().pk, operator(), "и этот")
    assert invoices.withdraw(invoice.pk, "alice@romashka.example").state == "withdrawn"
    assert balance(home) == "0"


def test_one_large_paper_waits_for_one_request(home):
    first, second, by = asked(home, "150000"), asked(home, "150000"), operator()
    incoming_invoices.confirm(first.pk, PAPER, by)

    with pytest.raises(CauseReused):
        incoming_invoices.confirm(second.pk, PAPER, by)


def test_what_is_over_is_history_in_the_database_too(home):
    invoice = asked(home)
    refused = invoices.refuse(invoice.pk, "o@xrouter.example", "Нет договора.")

    for change in (
        lambda: Invoice.objects.filter(pk=refused.pk).update(state="requested"),
        lambda: Invoice.objects.filter(pk=refused.pk).delete(),
        lambda: InvoiceStep.objects.update(note="x"),
        lambda: InvoiceStep.objects.all().delete(),
        lambda: Invoice.objects.filter(pk=asked(home).pk).update(amount=1),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert Event.objects.get().facts["reason"] == "Нет договора."


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_once_credit_one_payment():
    open_our_accounts()
    owner = make_client()
    invoice, operators, together = asked(owner), [operator(), operator()], Barrier(4)

    @own_connection()
    def confirm(number: int) -> str:
        together.wait(10)
        try:
            paper = BankPaper(str(17 + number // 2), PAPER.day)
            return incoming_invoices.confirm(invoice.pk, paper, operators[number % 2]).state
        except BillingError as exc:
            return type(exc).__name__

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(confirm, range(4)))

    assert outcomes == ["InvoiceOver", "InvoiceOver", "InvoiceOver", "paid"]
    assert (balance(owner), Payment.objects.count()) == ("1500.5", 1)


# --- On the desk ---------------------------------------------------------------------------------------


def decide(browser: Browser, invoice: Invoice, **typed: str):
    return browser.post(reverse("admin:billing_invoice_decide", args=[invoice.pk]), typed, follow=True)


def said(answer) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_an_operator_sees_who_waits_marks_the_invoice_sent_and_confirms(home):
    invoice, clerk = asked(home), clerks_browser(*CLERK)

    page = clerk.get(reverse("admin:billing_invoice_change", args=[invoice.pk])).content.decode()
    assert "Оплата получена: зачислить 1\xa0500,50\xa0₽" in page
    assert "счёт отправлен" in said(decide(clerk, invoice, issue="", note="СЧ-7"))
    for _ in range(2):
        answer = decide(clerk, invoice, confirm="", number="17", day="01.11.2026")

    assert "Заявка уже закрыта: оплачен." in said(answer)
    assert balance(home) == "1500.5"
    entries = Change.objects.filter(content_type__model="invoice", object_pk=str(invoice.pk))
    told = [(entry.additional_data or {}).get("sentence", "") for entry in entries]
    assert sum("Зачислено 1\xa0500,50" in sentence for sentence in told) == 1
    assert [step.note for step in invoice.steps.all()] == ["", "СЧ-7", NUMBER]


@pytest.mark.parametrize(
    "typed",
    [
        {"confirm": "", "number": "", "day": "01.11.2026"},
        {"confirm": "", "number": "17", "day": "01.11.2096"},
        {"confirm": "", "number": "17", "day": "01.11.2006"},
        {"confirm": ""},
        {"refuse": "", "why": ""},
    ],
)
def test_an_answer_without_its_facts_does_nothing(home, typed):
    invoice = asked(home)

    assert "Ничего не сделано." in said(decide(clerks_browser(*CLERK), invoice, **typed))
    assert balance(home) == "0"


def test_the_reason_of_a_refusal_is_read_by_the_customer(client, home):
    invoice = asked(home)

    decide(clerks_browser(*CLERK), invoice, refuse="", why="Нужен договор")

    page = client.get(f"/dashboard/{home.pk}/billing/invoices/{invoice.pk}/").content.decode()
    assert "Нужен договор" in page and "отказано" in page


def test_who_may_only_look_answers_nothing(home):
    invoice, viewer = asked(home), clerks_browser("view_invoice")

    page = viewer.get(reverse("admin:billing_invoice_change", args=[invoice.pk])).content.decode()

    assert "У вас нет права вести заявки на счёт." in page
    assert decide(viewer, invoice, confirm="", number="17", day="01.11.2026").status_code == 403
    assert clerks_browser("view_payment").get(reverse("admin:billing_invoice_changelist")).status_code == 403
