"""A real browser for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from playwright.sync_api import Page, sync_playwright

from accounts.models import User

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium(refusal: int | None = None, **look: Any) -> Iterator[Page]:
    """A page that fails the test by what it complains of, and by what it loads from elsewhere.

    ``refusal``: the HTTP status of which it has to complain, once.

    Entered after rows are made: Django's ORM refuses to work beside Playwright's event loop.
    """
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(locale="ru-RU", **look).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda request: complaints.append(request.url) if _is_outside(request.url) else None
        )
        yield page
        browser.close()
    if refusal is not None:
        assert f"status of {refusal}" in complaints.pop()
    assert not complaints, complaints


def _is_outside(url: str) -> bool:
    return not url.startswith(("http://localhost", "http://127.0.0.1", "data:", "blob:http://localhost"))


@contextmanager
def portal(live_server: Any, operator: User, path: str = "/admin/", **look: Any) -> Iterator[Page]:
    """The operators' portal in a real browser in which ``operator`` is logged in, at ``path``."""
    session = Browser()
    session.force_login(operator)
    name = settings.SESSION_COOKIE_NAME
    cookie = {"name": name, "value": session.cookies[name].value, "url": live_server.url}
    with chromium(viewport={"width": 1440, "height": 900}, **look) as page:
        page.context.add_cookies([cookie])
        page.goto(live_server.url + path)
        yield page
