"""Whether customers' and public pages can be used by who does not see them as we do, by axe's rules.

Pages are asked for first and shown to one browser afterwards: in both schemes, and on a telephone. Which
addresses there are is asked of Django; that no state of a page is left out, of the templates.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client as Browser
from django.utils import timezone
from playwright.sync_api import Page, Route

from accounts.models import Announcement
from monitoring.models import Incident, Kind
from routing.status_page import facts
from tests.browsing import chromium
from tests.builders import make_endpoint, make_model, make_provider, make_tariff
from tests.every_page import Home, home, places, public
from tests.page_states import states
from tests.xrouter.test_portal_axe import COLOURS, EVERYTHING

ROOT = "http://localhost"
TEMPLATES = Path(__file__).parent.parent.parent / "templates"
# Of operators, and what others lay out: the references draw themselves.
ELSEWHERE = {"admin", "desk", "unfold"}
NOT_OURS = ["#swagger-ui", "#redoc"]
LOADS_AGAIN = "#redoc"  # for another scheme
RUN = "given => axe.run(...given).then(told => [...told.violations, ...told.incomplete])"
# What axe cannot tell by itself is a fault, too, until a page tells it.
WITH_DOUBTS = {"resultTypes": ["violations", "incomplete"]}
# By what a policy without inline styles allows.
BROKEN = """title => {
  title.innerHTML = "<button></button><b>Вход</b>";
  Object.assign(title.lastChild.style, { color: "#555", background: "#444" });
}"""
FRAME = "() => [...document.querySelectorAll('.bar, .notices, footer')].map(each => each.offsetLeft)"
ASKED_BY_SCRIPTS = ("/v1/openapi.json",)


def fill() -> Home:
    """A client with something of each sort, and a catalogue."""
    provider = make_provider("gigachat", adapter="gigachat")
    model = make_model("solo/openai", aliases=("pro",), quality={"general": 60})
    make_endpoint(model, provider, own_tariff=make_tariff("900", "100"))
    Incident.objects.create(title="не отвечает", kind=Kind.DOWN, cause="provider:1", provider=provider)
    Announcement.objects.create(text="Работы в ночь", starts_at=timezone.now())
    return home("Ромашка")


def at_addresses(ours: Home) -> dict[str, Any]:
    """The page of every address that has one, as it is for who may see it."""
    told = {str(place): ours.browser.get(place.filled(ours)) for place in places()}
    told |= {str(place): Browser().get(example) for place, example in public()}
    return {name: answer for name, answer in told.items() if answer.status_code == 200 and is_html(answer)}


def is_html(answer: Any) -> bool:
    return bool(answer["content-type"].startswith("text/html"))


def drawn(answers: dict[str, Any]) -> set[str]:
    return {str(each.name) for answer in answers.values() for each in getattr(answer, "templates", [])}


def drawable() -> set[str]:
    """Every template of a page that is no operator's."""
    found = (path.relative_to(TEMPLATES) for path in TEMPLATES.rglob("*.html"))
    return {path.as_posix() for path in found if not ELSEWHERE & {*path.parts}}


def serve(route: Route, answers: dict[str, Any]) -> None:
    """The answer that waits under this number, or one of our files."""
    address = route.request.url.removeprefix(ROOT)
    if answer := answers.get(address):
        headers = {name: value for name, value in answer.items() if name != "Content-Length"}
        route.fulfill(headers=headers, body=answer.content)
    else:
        route.fulfill(path=finders.find(address.removeprefix(settings.STATIC_URL)))


def faults(page: Page, options: dict[str, Any]) -> list[str]:
    """Each by its rule, where it is, and what axe says of it; the page has axe already."""
    context = {"include": [["html"]], "exclude": [[each] for each in NOT_OURS]}
    told = page.evaluate(RUN, [context, options | WITH_DOUBTS])
    return [
        f"{each['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for each in told
        for node in each["nodes"]
    ]


def wear(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Change between light and dark, and wait where the page loads itself again for it."""
    if page.locator(LOADS_AGAIN).count():
        with page.expect_navigation(wait_until="networkidle"):
            page.emulate_media(color_scheme=scheme)
        page.evaluate(AXE_SCRIPT)
    else:
        page.emulate_media(color_scheme=scheme)


def look(page: Page, name: str) -> dict[str, Any]:
    """At the page that is open, in all ways."""
    page.evaluate(AXE_SCRIPT)
    found = {f"{name}, light": faults(page, EVERYTHING)}
    wear(page, "dark")
    found[f"{name}, frame"] = frame if len(set(frame := page.evaluate(FRAME))) > 1 else []
    found[f"{name}, dark"] = faults(page, COLOURS)
    page.set_viewport_size({"width": 390, "height": 800})
    width = page.evaluate("document.scrollingElement.scrollWidth")
    found[f"{name}, width"] = [f"{width} px"] if width > 390 else []
    page.set_viewport_size({"width": 1440, "height": 900})
    wear(page, "light")
    return {where: told for where, told in found.items() if told}


@pytest.fixture
def ours(db: None) -> Iterator[Home]:
    facts.latest.forget()  # what the page of the state knows of other tests, and then of this one
    yield fill()
    facts.latest.forget()


def test_no_page_has_a_fault_in_either_scheme_or_is_wider_than_a_telephone(settings, ours):
    settings.XROUTER_OPERATOR_BANK = "Сбер"
    pages = at_addresses(ours) | dict(states(ours))
    by_number = {f"/{number}": answer for number, answer in enumerate(pages.values())}
    by_number |= {path: Browser().get(path) for path in ASKED_BY_SCRIPTS}
    found: dict[str, Any] = {}

    with chromium(viewport={"width": 1440, "height": 900}) as page:
        page.route("**/*", lambda route: serve(route, by_number))
        for number, name in enumerate(pages):
            page.goto(f"{ROOT}/{number}")
            if page.locator(", ".join(NOT_OURS)).count():
                page.wait_for_load_state("networkidle")  # what is asked for is not left unanswered
            found |= look(page, name)
        page.locator("h1").first.evaluate(BROKEN)
        broken = {each.partition(" ")[0] for each in faults(page, EVERYTHING)}

    assert drawable() - drawn(pages) == set()
    assert found == {}
    assert {"button-name", "color-contrast"} <= broken  # it would have seen them
