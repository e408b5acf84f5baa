"""A client's contents in a real browser: kept at its wish, looked at with a reason, and gone at its wish."""

import pytest
from django.urls import reverse

from accounts.models import Change, User
from tests.browsing import portal
from tests.builders import make_client, make_generation
from tests.routing.test_admin_contents import ANSWER, PROMPT, REASON, XSS, chat, completion, kept

CONFIRM = "#content form button[type=submit]"


@pytest.mark.django_db(transaction=True)
def test_an_operator_keeps_looks_and_stops(live_server):
    client = make_client("Ромашка")
    before = make_generation(client)
    operator = User.objects.create_superuser("operator@xrouter.example")
    page_of = {
        row.pk: live_server.url
        + reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])
        for row in (client, before)
    }

    with portal(live_server, operator, f"/admin/accounts/client/{client.pk}/change/") as page:
        page.click("text=Хранить содержание запросов")
        page.wait_for_selector("text=только если об этом попросил сам клиент")
        page.fill("input[name=days]", "3")
        page.fill("input[name=reason]", "просьба клиента, письмо 12")
        page.click(CONFIRM)
        page.wait_for_selector("text=срок в днях: 3")
        page.goto(page_of[before.pk])
        page.wait_for_selector("text=Содержание не хранится.")

    client.refresh_from_db()
    generation = kept(client, chat(PROMPT + XSS), completion(ANSWER))
    with portal(live_server, operator, f"/admin/billing/generation/{generation.pk}/change/") as page:
        page.click("text=Посмотреть содержание")
        page.fill("input[name=reason]", "надо")
        page.click(CONFIRM)
        page.wait_for_selector("text=не короче 10 знаков")
        page.fill("input[name=reason]", REASON)
        page.click(CONFIRM)
        page.wait_for_selector(f"#question >> text={PROMPT}{XSS}")
        assert ANSWER in page.inner_text("#answer")

        page.goto(page_of[client.pk])
        page.click("text=Не хранить содержание")
        page.fill("input[name=reason]", "больше не нужно")
        page.click(CONFIRM)
        page.wait_for_selector("text=сохранённое удаляется")
        page.goto(f"{live_server.url}/admin/billing/generation/{generation.pk}/change/")
        page.wait_for_selector("text=Содержание не хранится.")
        page.goto(f"{live_server.url}/admin/billing/generation/{generation.pk}/history/")
        page.wait_for_selector(f"text={REASON}")

    look = Change.objects.get(action=Change.Action.ACCESS)
    assert (look.actor, look.object_pk) == (operator, str(generation.pk))
