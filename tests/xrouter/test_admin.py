"""Every model of ours is on the operators' desk, and the desk opens."""

import re
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts import switches
from accounts.models import (
    Announcement,
    ApiKey,
    Change,
    Client,
    Consent,
    Invitation,
    Membership,
    Switch,
    User,
    Visit,
)
from billing.models import (
    Account,
    Alert,
    AlertKind,
    Audit,
    Cap,
    Channel,
    Delivery,
    Event,
    Generation,
    Hold,
    Invoice,
    InvoiceStep,
    KeyDay,
    Payment,
    PromoBatch,
    PromoCode,
    PromoTry,
    Proposal,
    SamplingMedian,
    Shift,
    Transfer,
    UsageHour,
    UsageMark,
    UsageMinute,
    UsagePace,
)
from monitoring.models import Balance, Bulletin, HealthHour, Incident, Note, Probe, Symptom
from routing.contents.models import Content
from routing.models import Alias, CatalogueVersion, Density
from routing.playground.models import Conversation
from tests.builders import (
    alice,
    make_client,
    make_credential,
    make_endpoint,
    make_key,
    make_model,
    make_provider,
    make_twin,
    operators_browser,
)

OURS = ["accounts", "providers", "billing", "monitoring", "routing"]
# Contents are looked at one by one and with a reason, on pages of generations; there is no list of them.
# Conversations of the playground are seen by their authors alone.
# Hours of usage and of health are sums, for the pages of everybody else.
# Steps of a request for an invoice stand on its page. How long tokens are is told on pages of models.
APART = [
    Content,
    Conversation,
    Density,
    UsageHour,
    UsageMinute,
    UsagePace,
    UsageMark,
    HealthHour,
    InvoiceStep,
]
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models() if model not in APART]
READ_ONLY = [
    *(Account, Transfer, Generation, Probe, Hold, KeyDay, Alert, Audit, Shift, PromoTry, Payment),
    *(CatalogueVersion, SamplingMedian, PromoBatch, Proposal, Visit, Balance, Symptom, Note, Change),
    *(Consent, Invoice, Channel, Event, Delivery),
]
# What is neither history nor added by hand.
GIVEN = [Switch, Invitation]

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


@pytest.fixture(scope="module")
def rows(lasting) -> None:
    lasting(one_of_everything)


@pytest.fixture
def operator(rows, db) -> Browser:
    browser = Browser()
    browser.force_login(User.objects.get(is_superuser=True))
    return browser


def one_of_everything() -> None:
    """One row of everything at least."""
    operators_browser()
    alice()
    client = make_client(balance="10")
    api_key, _ = make_key(client)
    endpoint = make_endpoint(make_model(aliases=("alias",)))
    Visit.objects.create(operator=alice(), client=client, reason="обращение 7", ends_at=timezone.now())
    Consent.objects.create(user=alice(), document="terms", version="2026-11-28")
    Invitation.objects.create(client=client, email="new@romashka.example", digest=bytes(32))
    Balance.objects.create(credential=make_credential(endpoint.provider))
    Symptom.objects.create(cause="books", since=timezone.now())
    Note.objects.create(incident=Incident.objects.create(title="Сбой-7", subject="шлюз-7"), text="началось-7")
    Bulletin.objects.create(incident=Incident.objects.get(), title="Чиним-7", text="ждём-7")
    make_twin(make_provider())
    Probe.objects.create(provider=endpoint.provider, ok=True, latency_ms=12.5)
    SamplingMedian.objects.create(
        model="a/b", parameter="top_p", value=0.9, requests=60, clients=6, worked_out_at=timezone.now()
    )
    CatalogueVersion.objects.create(version="0123456789abcdef", description={"cards": []})
    Announcement.objects.create(text="Плановые работы")
    switches.establish()
    Generation.objects.create(
        id=uuid4(),
        client=client,
        key=api_key,
        created_at=timezone.now(),
        request_id="req_1",
        model_requested="gigachat/pro",
        status="ok",
        cost=1_500_000,
    )
    _money(client, api_key)


def _money(client: Client, api_key: ApiKey) -> None:
    now = timezone.now()
    shift = Shift.objects.create(id=uuid4(), alive_until=now)
    Hold.objects.create(
        generation_id=uuid4(),
        account=client.wallet,
        key=api_key,
        shift=shift,
        amount=0,
        created_at=now,
        expires_at=now,
    )
    KeyDay.objects.create(key=api_key, client=client, day=now.date())
    Cap.objects.create(key=api_key, amount=1_000_000)
    Payment.objects.create(number="1", client=client, amount=1_000_000, reason="счёт 1")
    PromoCode.objects.create(code="ЛЕТО", amount=1_000_000)
    PromoTry.objects.create(user=alice())
    operator = User.objects.get(is_superuser=True)
    PromoBatch.objects.create(note="ярмарка-7", created_by=operator)
    Proposal.objects.create(
        kind="correction", client=client, amount=1, reason="7", cause="1", asked_by=operator, expires_at=now
    )
    asked = {"company": "ООО «Ромашка»", "inn": "7707083893", "kpp": "773601001", "address": "Москва"}
    Invoice.objects.create(client=client, amount=1_000_000, email="a@romashka.example", **asked)
    channel = Channel.objects.create(client=client, kind="mail", events=["key.created"])
    event = Event.objects.create(id=uuid4(), client=client, kind="key.created", cause="key.created 0")
    Delivery.objects.create(event=event, channel=channel)
    Alert.objects.create(kind=AlertKind.LOW_BALANCE, client=client, subject="1")
    Audit.objects.create(is_clean=True, report={}, seconds=0.1)


def page(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@each_model
def test_every_model_is_on_the_desk(model):
    assert admin.site.is_registered(model)


def test_what_others_say_in_russian_fits_every_noun(operator, rows):
    alias = Alias.objects.get()
    typed = {"model": alias.model_id, "name": "другая", "_save": ""}

    listed = operator.get(page(Alias, "changelist")).content.decode()
    saved = operator.post(page(Alias, "change", alias.pk), typed, follow=True).content.decode()
    asked = operator.get(page(Alias, "delete", alias.pk)).content.decode()
    lacking = operator.get(page(Alias, "change", 7), follow=True).content.decode()
    twice = operator.post(page(User, "add"), {"email": alice().email}).content.decode()
    person = operator.get(page(User, "change", alice().pk)).content.decode()
    forbidden = operator.get(page(User, "delete", alice().pk)).content.decode()
    among = {"action": "delete_selected", "_selected_action": [alice().pk]}
    forbidden_too = operator.post(page(User, "changelist"), among).content.decode()
    picked = operator.get(page(Membership, "add")).content.decode()
    popup = operator.get(page(Alias, "changelist") + "?_popup=1").content.decode()

    assert "Строк: 1" in listed and "Добавить: другое имя" in listed and "Удалить выбранное" in listed
    assert "Сохранено: другое имя" in saved
    assert "Удалить «другая» (другое имя)?" in asked
    assert "Нет записи с ID «7» (другое имя)" in lacking
    assert "с таким значением поля «Электронная почта» уже существует" in twice
    assert re.search(r">\s*Удалить\s*</a>", person) and "Удалить человек" not in person
    assert "Нельзя удалить «alice@romashka.example» (человек):" in forbidden
    assert "Нельзя удалить выбранное (человек):" in forbidden_too
    assert all(f"{verb}: человек" in picked for verb in ("Добавить", "Изменить", "Посмотреть"))
    assert "Список: другое имя" in popup


@each_model
def test_every_list_opens_and_can_be_searched(operator, rows, model):
    queries = ["", "?q=а", "?q=00000000-0000-0000-0000-000000000000"]

    answers = [operator.get(page(model, "changelist") + query).status_code for query in queries]

    assert answers == [200, 200, 200]


@each_model
def test_every_row_opens(operator, rows, model):
    assert operator.get(page(model, "change", model.objects.first().pk)).status_code == 200


@each_model
def test_every_row_can_be_added_except_history(operator, rows, model):
    assert operator.get(page(model, "add")).status_code == (
        403 if model in [*READ_ONLY, *GIVEN] and model not in {Payment, PromoBatch} else 200
    )


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label)
def test_history_is_neither_changed_nor_removed(operator, rows, model):
    number = model.objects.first().pk

    assert operator.post(page(model, "change", number), {"note": "x"}).status_code == 403
    assert operator.post(page(model, "delete", number), {"post": "yes"}).status_code == 403


def test_a_client_is_switched_off_and_not_removed(operator, rows):
    number = Client.objects.first().pk

    assert operator.post(page(Client, "delete", number), {"post": "yes"}).status_code == 403


def test_money_is_shown_in_roubles(operator, rows):
    assert "1,50" in operator.get(page(Generation, "changelist")).content.decode()


def test_nobody_but_staff_sees_the_desk(rows, db):
    browser = Browser()
    browser.force_login(alice())

    assert all(browser.get(page(model, "changelist")).status_code == 302 for model in [*MODELS, Membership])
