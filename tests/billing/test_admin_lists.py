"""Long lists of money: what filters leave, what it adds up to, how it is taken away as CSV."""

from datetime import datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.test import AsyncClient
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from billing import ledger
from billing.admin import pages
from billing.admin.export import cell
from billing.models import Account, AccountKind, Audit, KeyDay, Payment, Transfer
from billing.money import roubles
from tests.builders import cells, clerks_browser, make_client, make_generation, make_key, operators_browser

pytestmark = pytest.mark.django_db

TRANSFERS = "admin:billing_transfer_changelist"


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def top_up(client: Client, amount: str, *, on: str = "", at: str = "12:00", **facts: str) -> Transfer:
    moment = timezone.make_aware(datetime.fromisoformat(f"{on} {at}")) if on else timezone.now()
    return Transfer.objects.create(
        debit=Account.objects.system(AccountKind.PAYMENTS_IN),
        credit=ledger.wallet_of(client),
        amount=roubles(amount),
        code="top_up",
        cause=f"payment {uuid4()}",
        created_at=moment,
        **facts,
    )


def charge(client: Client, amount: str) -> Transfer:
    """For a generation that there is."""
    generation = make_generation(client, cost=roubles(amount))
    return Transfer.objects.create(
        debit=ledger.wallet_of(client),
        credit=Account.objects.system(AccountKind.REVENUE),
        amount=roubles(amount),
        code="charge",
        cause=f"gen-{generation.pk.hex}",
    )


def shown(operator: Browser, address: str = TRANSFERS, **typed: str):
    return operator.get(reverse(address), typed)


def amounts(operator: Browser, **typed: str) -> list[str]:
    return cells(shown(operator, **typed).content.decode(), "signed")


# --- Filters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ({}, ["3", "2", "1"]),
        ({"created_at_from_0": "02.11.2026"}, ["3", "2"]),
        ({"created_at_to_0": "02.11.2026"}, ["2", "1"]),
        ({"created_at_from_0": "02.11.2026", "created_at_to_0": "02.11.2026"}, ["2"]),
        ({"created_at_from_0": "02.11.2026", "created_at_from_1": "12:01"}, ["3"]),
        ({"created_at_to_0": "02.11.2026", "created_at_to_1": "12:00"}, ["1"]),
        ({"amount_from": "1,5"}, ["3", "2"]),
        ({"amount_from": "1.5", "amount_to": "2"}, ["2"]),
        ({"created_by": "a@xrouter.example"}, ["2"]),
        ({"created_by": "a@"}, []),
        ({"code__exact": "charge"}, []),
    ],
    ids=str,
)
def test_a_filter_leaves_what_it_says(operator, typed, left):
    client = make_client()
    for day, by in ((1, ""), (2, "a@xrouter.example"), (3, "")):
        top_up(client, str(day), on=f"2026-11-0{day}", created_by=by)

    assert amounts(operator, **typed) == [f"+{amount},00 ₽" for amount in left]


@pytest.mark.parametrize(
    "typed",
    [
        {"created_at_from_0": "31.02.2026"},
        {"created_at_from_0": "вчера"},
        {"created_at_from_1": "12:00"},
        {"created_at_to_0": "31.12.9999"},
        {"amount_from": "много"},
        {"amount_to": "NaN"},
        {"debit__client__id__exact": "0"},
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_read_leaves_nothing_rather_than_everything(operator, typed):
    top_up(make_client(), "1", on="2026-11-01")

    assert amounts(operator, **typed) == []


def test_a_filter_that_cannot_be_read_says_so(operator):
    page = shown(operator, created_at_from_0="вчера").content.decode()

    assert "Проведён: Введите правильную дату." in page


def test_a_client_is_found_on_either_side(operator):
    client = make_client("Ромашка")
    top_up(client, "5")
    charge(client, "2")
    top_up(make_client(), "7")

    assert amounts(operator, debit__client__id__exact=str(client.pk)) == ["−2,00 ₽", "+5,00 ₽"]
    assert amounts(operator, q="ромаш") == ["−2,00 ₽", "+5,00 ₽"]


def test_a_generation_is_found_with_its_charge_and_refunds(operator):
    client = make_client()
    moved = charge(client, "2")
    top_up(client, "9")
    generation = client.generations.get()
    ledger.refund(generation, roubles("1"), cause="акт")

    for said in (moved.cause, str(generation.pk)):
        assert amounts(operator, q=said) == ["+1,00 ₽", "−2,00 ₽"]


def test_transfers_lead_to_what_they_were_for_and_back(operator):
    client = make_client()
    charge(client, "2")
    payment = Payment.objects.create(number="п 17&x", client=client, amount=roubles("5"), reason="счёт")
    ledger.credit(payment)
    page = shown(operator).content.decode()

    assert reverse("admin:billing_generation_change", args=[client.generations.get().pk]) in page
    assert reverse("admin:billing_account_change", args=[client.wallet.pk]) in page
    listed = operator.get(f"{reverse('admin:billing_payment_changelist')}?number=%D0%BF+17%26x")
    assert cells(listed.content.decode(), "number") == ["п 17&amp;x"]
    back = operator.get(reverse("admin:billing_payment_change", args=[payment.pk])).content.decode()
    assert "?q=payment+%D0%BF+17%26x" in back


def test_what_moved_between_our_own_accounts_has_no_sign(operator):
    ours = [Account.objects.system(kind) for kind in (AccountKind.OVERRUN, AccountKind.REVENUE)]
    Transfer.objects.create(debit=ours[0], credit=ours[1], amount=roubles("3"), code="overrun", cause="x")

    assert amounts(operator) == ["3,00"]


# --- Sums --------------------------------------------------------------------------------------------


def test_a_list_says_what_all_that_is_left_adds_up_to(operator):
    client = make_client()
    top_up(client, "100")
    top_up(client, "20.5")
    charge(client, "2")
    top_up(make_client(), "1000")

    totals = shown(operator, debit__client__id__exact=str(client.pk)).context["totals"]

    assert totals["count"] == 3
    assert [each["value"] for each in totals["sums"]] == [roubles("122.5")]
    told = [(group["title"], group["count"], group["sums"][0]["value"]) for group in totals["groups"]]
    assert told == [("пополнение", 2, roubles("120.5")), ("оплата генерации", 1, roubles("2"))]


def test_what_is_too_much_to_add_up_says_so(operator, monkeypatch):
    monkeypatch.setattr(pages, "MOST_ADDED", 1)
    client = make_client()
    top_up(client, "1")
    top_up(client, "2")

    assert "Слишком много, чтобы сложить" in shown(operator).content.decode()
    assert "Слишком много" not in shown(operator, amount_to="1").content.decode()


def test_adding_up_ends_before_the_page_is_late(operator, monkeypatch):
    client, wallet = make_client(), make_client().wallet
    top_up(client, "1")
    slow = Transfer.objects.extra(where=["pg_sleep(5) IS NOT NULL"]).filter(credit__client=client)
    monkeypatch.setattr(pages, "PATIENCE", 50)

    assert site.get_model_admin(Transfer).totals(slow) == {"too_many": True}
    assert Account.objects.filter(pk=wallet.pk).exists()  # and the connection is good


def test_days_of_keys_add_up_requests_and_tokens(operator):
    key, _ = make_key()
    for day in ("2026-11-01", "2026-11-02", "2026-11-03"):
        KeyDay.objects.create(key=key, client=key.client, day=day, requests=2, tokens_prompt=10, cost=5)

    typed = {"day_from": "02.11.2026", "day_to": "03.11.2026"}
    totals = shown(operator, "admin:billing_keyday_changelist", **typed).context["totals"]

    assert [each["value"] for each in totals["sums"]] == [4, 20, 0, 10]


def test_transfers_are_sorted_by_time_which_has_an_index_and_by_nothing_else(operator):
    listed = shown(operator).context["cl"]

    sortable = [column.__name__ for column in listed.sortable_by]
    assert sortable == ["created_at"]
    assert listed.sortable_by[0] in listed.list_display


def test_nobody_leafs_to_the_end_of_a_long_list(operator, monkeypatch):
    monkeypatch.setattr(pages, "MOST_COUNTED", 60)
    client = make_client()
    ours = Account.objects.system(AccountKind.PAYMENTS_IN)
    facts = {"debit": ours, "credit": client.wallet, "amount": 1, "code": "top_up"}
    Transfer.objects.bulk_create(Transfer(**facts, cause=f"payment {n}") for n in range(70))

    assert "Строк больше 60" in shown(operator).content.decode()
    assert len(amounts(operator, p="2")) == 10
    assert shown(operator, p="3").status_code == 302


@pytest.mark.parametrize(
    "name",
    [
        "transfer",
        "payment",
        "hold",
        "keyday",
        "alert",
        "audit",
        "account",
        "proposal",
        "promocode",
        "promobatch",
    ],
)
def test_a_list_takes_few_questions(operator, name, django_assert_max_num_queries):
    for number in range(5):
        client = make_client(f"Клиент {name} {number}")
        charge(client, "2")
        key, _ = make_key(client)
        KeyDay.objects.create(key=key, client=client, day="2026-11-01")
        Payment.objects.create(number=str(number), client=client, amount=1, reason="x")
    Audit.objects.create(is_clean=True, report={}, seconds=1)

    with django_assert_max_num_queries(30):
        assert shown(operator, f"admin:billing_{name}_changelist").status_code == 200


# --- CSV ---------------------------------------------------------------------------------------------


def exported(browser: Browser, name: str = "transfer", query: str = "") -> list[str]:
    answer = browser.post(f"{reverse(f'admin:billing_{name}_export')}?{query}")
    return b"".join(answer.streaming_content).decode().split("\r\n")


def pay(reason: str, amount: str = "1", number: str = "") -> Payment:
    facts = {
        "client": make_client(),
        "amount": roubles(amount),
        "reason": reason,
        "number": number or str(uuid4()),
    }
    return Payment.objects.create(**facts)


def test_a_file_is_for_a_russian_spreadsheet(operator):
    pay("счёт 7", "1234.5", "п-1")

    head, row, end = exported(operator, "payment")

    assert head == "\ufeffПолучен;Номер платежа;Клиент;Клиент: ИНН;Сумма, ₽;Основание;Кем внесён"
    assert row.split(";")[1:2] + row.split(";")[4:6] == ["п-1", "1234,5", "счёт 7"]
    assert end == ""


@pytest.mark.parametrize(
    "written",
    [
        *(
            "=cmd|' /C calc'!A0",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1+1",
            "\r=1+1",
            "\n=1",
            " =1",
            "\ufeff=1",
            "\u200b=1",
        ),
        *("\u00a0@x", "＝1", "\x00=1", "\tx", "-1+2"),
    ],
    ids=ascii,
)
def test_what_people_wrote_is_never_a_formula(written):
    assert cell(written) == f"'{written}"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-5, "-5"),
        (Decimal("-12.5"), "-12,5"),
        (Decimal("0.000001"), "0,000001"),
        (0.1, "0,1"),
        (True, "да"),
        (None, ""),
        ("−1 ₽", "−1 ₽"),
        ("a=b", "a=b"),
        ("счёт -7", "счёт -7"),
        (datetime(2026, 11, 1, 9, 0, 5, tzinfo=timezone.get_default_timezone()), "01.11.2026 09:00:05"),
    ],
    ids=repr,
)
def test_numbers_stay_numbers_and_harmless_texts_as_they_are(value, told):
    assert cell(value) == told


def test_a_formula_in_a_clients_name_and_a_negative_sum_arrive_as_they_should(operator):
    client = make_client("=HYPERLINK(1)", balance="5")
    Account.objects.filter(client=client).update(credit_limit=roubles("9"), balance=roubles("-2.5"))

    rows = exported(operator, "account", "kind__exact=wallet")

    assert rows[1].split(";")[1:4] == ["'=HYPERLINK(1)", "", "-2,5"]


def test_all_that_the_filters_leave_is_taken_and_not_only_the_page(operator):
    client = make_client()
    ours = Account.objects.system(AccountKind.PAYMENTS_IN)
    facts = {"debit": ours, "credit": client.wallet, "amount": 1_500_000, "code": "top_up"}
    Transfer.objects.bulk_create(Transfer(**facts, cause=f"payment {n}") for n in range(120))
    top_up(make_client(), "7")

    rows = exported(operator, query=f"debit__client__id__exact={client.pk}&p=2")

    assert len(rows) == 122
    assert rows[1].split(";")[2:4] == ["пополнение", "1,5"]


def test_who_took_a_file_is_written_down(operator):
    exported(operator, query="code__exact=charge")

    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("переводы", "Выгружен CSV: code__exact=charge")


@pytest.mark.parametrize(
    "permissions", [["view_transfer"], ["export_transfer"], ["view_transfer", "export_payment"]]
)
def test_who_may_not_export_is_refused_and_shown_no_button(permissions):
    clerk = clerks_browser(*permissions)

    assert clerk.post(reverse("admin:billing_transfer_export")).status_code == 403
    assert "Выгрузить CSV" not in clerk.get(reverse(TRANSFERS)).content.decode()


def test_who_may_export_and_see_needs_no_other_right():
    clerk = clerks_browser("view_transfer", "export_transfer")

    assert "Выгрузить CSV" in clerk.get(reverse(TRANSFERS)).content.decode()
    assert len(exported(clerk)) == 2


def test_a_link_alone_takes_nothing_away(operator):
    assert operator.get(reverse("admin:billing_transfer_export")).status_code == 405
    assert operator.post(f"{reverse('admin:billing_transfer_export')}?nonsense=1").status_code == 302
    assert not LogEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_sends_it_piece_by_piece(operator):
    client = make_client()
    ours = Account.objects.system(AccountKind.PAYMENTS_IN)
    facts = {"debit": ours, "credit": client.wallet, "amount": 1, "code": "top_up"}
    Transfer.objects.bulk_create(Transfer(**facts, cause=f"payment {n}") for n in range(4_100))
    browser = AsyncClient()
    browser.cookies = operator.cookies

    async def pieces() -> list[bytes]:
        answer = await browser.post(reverse("admin:billing_transfer_export"))
        return [piece async for piece in answer]

    sent = async_to_sync(pieces)()

    assert len(sent) == 3
    assert b"".join(sent).count(b"\r\n") == 4_101


# --- A wallet's page ---------------------------------------------------------------------------------


def test_a_wallets_page_shows_what_there_is_and_what_has_moved_last(operator):
    client = make_client(balance="100")
    for number in range(25):
        top_up(client, str(number + 1), note=f"счёт {number}")
    Account.objects.filter(client=client).update(held=roubles("30"), credit_limit=roubles("7"))

    answer = operator.get(reverse("admin:billing_account_change", args=[client.wallet.pk]))
    page = answer.content.decode()

    assert all(f"{figure},00\u00a0₽" in page for figure in ("100", "30", "77", "7"))
    assert [row.note for row, _sides in answer.context["transfers"]] == [
        f"счёт {n}" for n in range(24, 4, -1)
    ]
    assert f"?client={client.pk}" in page


def test_a_wallets_page_shows_no_more_than_one_may_see():
    client = make_client(balance="100")
    answer = clerks_browser("view_account").get(
        reverse("admin:billing_account_change", args=[client.wallet.pk])
    )

    assert not {"transfers", "holds", "payment_address", "client_address"} & set(answer.context.keys())


def test_a_day_ends_at_midnight_here(operator):
    client = make_client()
    top_up(client, "6", on="2026-11-01", at="23:59:59")
    top_up(client, "7", on="2026-11-02", at="00:00:00")

    assert amounts(operator, created_at_from_0="01.11.2026", created_at_to_0="01.11.2026") == ["+6,00 ₽"]
