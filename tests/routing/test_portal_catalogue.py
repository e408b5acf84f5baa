"""The catalogue in the operators' portal, as an operator clicks his way: one server and one log-in."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from playwright.sync_api import Page, expect

from accounts.models import Plan, User
from routing import plane
from routing.catalogue import load_catalogue
from tests.browsing import portal
from tests.builders import (
    make_client,
    make_credential,
    make_endpoint,
    make_key,
    make_model,
    make_provider,
    make_tariff,
)

PATIENCE = 10_000  # milliseconds
ADDRESS = re.compile(r"http://\S+:\d+")


@pytest.fixture
def vendor() -> Iterator[str]:
    """Where a twin with two models answers."""
    command = [sys.executable, "-m", "providers.twins", "--port", "0", "--family", "openai"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        found = ADDRESS.search(program.stdout.readline())
        yield f"{found[0]}/v1"
        program.terminate()


@pytest.fixture
def here(monkeypatch) -> plane.Plane:
    """A plane that was not opened: its limits are judged without Redis."""
    opened = plane.Plane()
    async_to_sync(opened._windows.close)()
    monkeypatch.setattr(plane, "_current", [opened])
    return opened


@pytest.mark.django_db(transaction=True)
def test_an_operator_runs_the_catalogue(live_server, here, vendor):
    operator = User.objects.create_superuser("operator@xrouter.example")
    tariff, own = make_tariff("500", "1500"), make_tariff("400", "1000")
    served = make_provider("served")
    make_credential(served)
    make_endpoint(make_model("family/chosen", aliases=("chosen",)), served)
    listed = make_provider("listed", base_url=vendor)
    make_credential(listed)
    make_endpoint(make_model("family/other"), listed, upstream_name="forgotten")
    key = make_key(make_client(plan=Plan.FREE))[1]
    here._snapshot.catalogue = load_catalogue(with_twins=False)

    with portal(live_server, operator) as page:
        page.set_default_timeout(PATIENCE)
        a_model_with_two_endpoints_and_an_alias_is_added(page, tariff.name, own.name)
        a_new_price_is_looked_at_and_starts(page)
        a_model_is_hidden_from_a_plan(page, live_server.url, key)
        whom_a_request_would_meet_is_told(page)
        a_providers_list_is_compared_and_ticked(page)


def a_model_with_two_endpoints_and_an_alias_is_added(page: Page, tariff: str, own: str) -> None:
    follow(page, "Модели")
    page.locator("a.addlink").click()
    for name, text in {"slug": "family/new", "name": "Новая", "provider_name": "family"}.items():
        page.fill(f"#id_{name}", text)
    for name, text in {"context_length": "32768", "max_output": "8192"}.items():
        page.fill(f"#id_{name}", text)
    tab(page, "Цены")
    choose(page, "tariff", tariff)
    tab(page, "Качество")
    page.fill("#id_quality_0", "70")
    page.get_by_role("link", name=re.compile("Исполнители")).last.click()
    for number, provider in enumerate(("served", "listed")):
        page.locator("#endpoints-group .add-row").click()
        choose(page, f"endpoints-{number}-provider", provider)
        page.fill(f"#id_endpoints-{number}-upstream_name", "upstream")
        page.locator(f"input[name=endpoints-{number}-features][value=streaming]").check()
    choose(page, "endpoints-0-own_tariff", own)
    page.get_by_role("link", name=re.compile("Другие имена")).last.click()
    page.locator("#aliases-group .add-row").click()
    page.fill("#id_aliases-0-name", "Новинка")
    page.get_by_role("button", name="Сохранить и продолжить").click()
    expect(page.locator("#id_aliases-0-name")).to_have_value("Новинка")
    expect(page.locator("#id_endpoints-1-upstream_name")).to_have_value("upstream")
    assert page.locator("#id_quality_0").input_value() == "70"


def a_new_price_is_looked_at_and_starts(page: Page) -> None:
    page.get_by_role("link", name="Новая цена").first.click()
    page.fill("#id_prompt", "300")
    page.get_by_role("button", name="Посмотреть").click()
    margins = page.locator("#margins")
    expect(margins.get_by_text("−0,1")).to_have_class(re.compile("text-red-600"))
    expect(margins.get_by_text("−33 %")).to_be_visible()
    expect(margins.get_by_text("сколько берёт провайдер, не указано")).to_be_visible()
    page.get_by_role("button", name="Изменить").click()
    page.fill("#id_prompt", "600")
    page.get_by_role("button", name="Посмотреть").click()
    expect(margins.get_by_text("33 %").first).to_be_visible()
    page.get_by_role("button", name="Назначить цену").click()
    tab(page, "Цены")
    expect(page.get_by_role("cell", name="0,6", exact=True).first).to_be_visible()


def a_model_is_hidden_from_a_plan(page: Page, root: str, key: str) -> None:
    def names() -> set[str]:
        answer = page.request.get(f"{root}/v1/models", headers={"authorization": f"Bearer {key}"})
        return {each["id"] for each in answer.json()["data"]}

    assert "family/new" in names()
    tab(page, "Кому видна")
    page.locator("select[name=visible_to]").select_option("plans")
    page.locator("input[name=plans][value=paid]").check()
    page.get_by_role("button", name="Сохранить и продолжить").click()
    expect(page.get_by_text("Сохранено: ")).to_be_visible()

    assert "family/new" not in names()
    assert "family/chosen" in names()
    answer = page.request.get(f"{root}/v1/models/Новинка", headers={"authorization": f"Bearer {key}"})
    assert (answer.status, answer.json()["error"]["metadata"]["error_type"]) == (404, "model_not_found")


def whom_a_request_would_meet_is_told(page: Page) -> None:
    follow(page, "Модели")
    page.get_by_role("link", name="family/chosen").first.click()
    page.get_by_role("link", name="Кого выбрали бы").last.click()
    expect(page.locator("#id_model")).to_have_value("family/chosen")
    page.fill("#id_model", "Chosen:floor")
    page.fill("#id_question", "Привет")
    page.get_by_role("button", name="Показать").click()
    expect(page.locator("#places").get_by_text("family/chosen ← served")).to_be_visible()
    page.fill("#id_provider", '{"only": ["listed"]}')
    page.get_by_role("button", name="Показать").click()
    expect(page.locator("#excluded").get_by_text("only", exact=True)).to_be_visible()


def a_providers_list_is_compared_and_ticked(page: Page) -> None:
    follow(page, "Модели провайдеров")
    page.locator("#content a[href*='/endpoint/providers/']").first.click()
    expect(page.get_by_role("heading", name="listed")).to_be_visible()
    page.get_by_role("button", name="Спросить").click()
    row = page.locator("[data-name='gpt-twin-mini']")
    row.locator("input[type=checkbox]").check()
    number = row.locator("input[type=checkbox]").get_attribute("name").rpartition("-")[2]
    choose(page, f"model-{number}", "family/chosen")
    page.locator("[data-gone='forgotten'] input").check()
    page.get_by_role("button", name="Посмотреть").click()
    expect(page.get_by_text("gpt-twin-mini станет исполнителем модели family/chosen.")).to_be_visible()
    expect(page.get_by_text("forgotten (family/other) будет выключен.")).to_be_visible()
    page.get_by_role("button", name="Сохранить").click()
    expect(page.get_by_text("Заведено исполнителей: 1, новых моделей: 0, выключено: 1.")).to_be_visible()
    expect(page.get_by_text("gpt-twin-mini")).to_be_visible()


def follow(page: Page, name: str) -> None:
    page.locator("#nav-sidebar a", has_text=re.compile(f"{name}\\s*$")).click()


def tab(page: Page, name: str) -> None:
    """Of the fields, on the general tab of the page."""
    page.locator("a[href='#general']").click()
    page.locator("nav a").filter(has_text=re.compile(f"^\\s*{name}\\s*\\d*\\s*$")).last.click()


def choose(page: Page, field: str, text: str) -> None:
    """A row in a field that looks for it as it is typed."""
    page.locator(f"#id_{field} + .select2-container").click()
    page.locator(".select2-container--open .select2-search__field").fill(text)
    page.locator(".select2-results__option", has_text=text).first.click()
