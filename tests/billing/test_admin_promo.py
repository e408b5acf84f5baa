"""Batches of promo codes: made, shown once, counted, switched off."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from billing import batches, ledger
from billing.errors import PromoRefused
from billing.models import PromoBatch, PromoCode
from billing.money import as_roubles, roubles
from tests.builders import cells, clerks_browser, make_client, operators_browser

pytestmark = pytest.mark.django_db

ADD = "admin:billing_promobatch_add"


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def issue(operator: Browser, **typed: str):
    form = {"note": "конференция", "amount": "500", "count": "3", "max_uses": "1", "prefix": "", **typed}
    return operator.post(reverse(ADD), form)


def page(name: str, batch: PromoBatch) -> str:
    return reverse(f"admin:billing_promobatch_{name}", args=[batch.pk])


def words(batch: PromoBatch) -> list[str]:
    return list(batch.codes.order_by("code").values_list("code", flat=True))


def test_a_batch_is_as_many_different_codes_as_were_wanted(operator):
    issue(operator, prefix="nov", max_uses="2", expires_at_0="01.01.2100", expires_at_1="00:00")

    codes = PromoCode.objects.all()
    assert {(each.amount, each.max_uses, each.note) for each in codes} == {(roubles("500"), 2, "конференция")}
    assert {each.expires_at for each in codes} == {timezone.make_aware(timezone.datetime(2100, 1, 1))}
    assert len({each.code for each in codes}) == 3
    assert all(re.fullmatch(r"NOV(-[A-HJKM-NP-Z2-9]{4}){3}", each.code) for each in codes)


def test_no_letter_of_a_code_is_taken_for_another():
    assert not set("01OIL") & set("".join(batches.draw() for _ in range(200)))


@pytest.mark.parametrize(
    "typed",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"count": "0"},
        {"count": "10001"},
        {"max_uses": "0"},
        {"note": ""},
        {"prefix": "НОЯ"},
        {"prefix": "=CMD"},
        {"expires_at_0": "01.01.2020", "expires_at_1": "00:00"},
    ],
    ids=str,
)
def test_a_batch_that_cannot_be_is_an_error_in_the_form(operator, typed):
    answer = issue(operator, **typed)

    assert {next(iter(typed)).removesuffix("_0")} == answer.context["form"].errors.keys()
    assert not PromoBatch.objects.exists()


def test_the_codes_are_shown_to_who_made_them_as_a_page_and_as_a_file(operator):
    shown = operator.get(issue(operator).url)
    batch = PromoBatch.objects.get()
    answer = operator.post(page("codes", batch))
    file = b"".join(answer.streaming_content).decode()

    assert all(word in shown.content.decode() and word in file for word in words(batch))
    assert file.splitlines()[1] == f"{words(batch)[0]};500;1;"
    assert "no-store" in shown["Cache-Control"] and "no-store" in answer["Cache-Control"]


def test_the_file_has_each_codes_own_amount(operator):
    issue(operator)
    batch = PromoBatch.objects.get()
    batch.codes.filter(code=words(batch)[0]).update(amount=roubles("7.5"))

    file = b"".join(operator.post(page("codes", batch)).streaming_content).decode()

    assert [line.split(";")[1] for line in file.splitlines()[1:]] == ["7,5", "500", "500"]


def test_nobody_else_and_nobody_later_sees_them(operator):
    issue(operator)
    batch = PromoBatch.objects.get()
    another = clerks_browser("view_promobatch", "add_promobatch", "change_promobatch", "view_promocode")

    assert another.get(page("codes", batch)).status_code == 403
    assert another.post(page("codes", batch)).status_code == 403
    PromoBatch.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert operator.get(page("codes", batch)).status_code == 403


@pytest.mark.parametrize("name", ["promocode", "promobatch"])
def test_no_list_no_page_no_file_and_no_log_has_a_code_of_a_batch_in_full(operator, name):
    issue(operator)
    batch, code = PromoBatch.objects.get(), PromoCode.objects.first()
    row = code if name == "promocode" else batch
    pages = [
        operator.get(reverse(f"admin:billing_{name}_changelist")).content,
        operator.get(reverse(f"admin:billing_{name}_change", args=[row.pk])).content,
        operator.get(reverse(f"admin:billing_{name}_history", args=[row.pk])).content,
        b"".join(operator.post(reverse("admin:billing_promocode_export")).streaming_content),
    ]

    assert not [word for word in words(batch) if any(word.encode() in each for each in pages)]
    assert not [word for word in words(batch) if LogEntry.objects.filter(change_message__contains=word)]


def test_a_batch_tells_how_much_of_it_is_used(operator):
    issue(operator)
    ledger.redeem(make_client(), words(PromoBatch.objects.get())[0])

    listed = operator.get(reverse("admin:billing_promobatch_changelist")).content.decode()

    told = [cells(listed, name) for name in ("codes", "used", "credited", "on")]
    assert told == [["3"], ["1"], ["500,00"], ["включена"]]


def test_a_batch_is_switched_off_and_on_and_what_it_brought_stays(operator):
    issue(operator)
    batch, client = PromoBatch.objects.get(), make_client()
    ledger.redeem(client, words(batch)[0])

    operator.post(page("switch", batch), {"off": ""})

    with pytest.raises(PromoRefused):
        ledger.redeem(make_client(), words(batch)[1])
    assert as_roubles(ledger.wallet_of(client).balance) == "500"
    assert LogEntry.objects.latest("pk").get_change_message() == "Выключено кодов: 3."
    operator.post(page("switch", batch), {"on": ""})
    assert ledger.redeem(make_client(), words(batch)[1]).amount == roubles("500")


@pytest.mark.parametrize("permissions", [[], ["view_promobatch"], ["view_promobatch", "add_promocode"]])
def test_who_may_not_makes_and_switches_nothing(operator, permissions):
    issue(operator)
    batch, clerk = PromoBatch.objects.get(), clerks_browser(*permissions)

    assert issue(clerk).status_code == 403
    assert clerk.post(page("switch", batch), {"off": ""}).status_code in {403, 404}
    assert batch.codes.filter(is_enabled=True).count() == 3


def test_a_link_switches_nothing(operator):
    issue(operator)

    assert operator.get(page("switch", PromoBatch.objects.get())).status_code == 405
