"""A real browser for tests of pages."""

import asyncio
import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from playwright.sync_api import Browser as Chromium
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
    with _started().at_work() as browser:
        page = browser.new_context(locale="ru-RU", **look).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda request: complaints.append(request.url) if _is_outside(request.url) else None
        )
        yield page
    if refusal is not None:
        assert f"status of {refusal}" in complaints.pop()
    assert not complaints, complaints


class _Engine:
    """The browser of a process and Playwright, which drives it: to start them takes longer than most tests.

    Cookies, storage and cache are of a context, and each page has a context of its own.
    """

    def __init__(self) -> None:
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self._browser = self._launched()
        asyncio._set_running_loop(None)
        atexit.register(self._end)

    @contextmanager
    def at_work(self) -> Iterator[Chromium]:
        """Only meanwhile is there an event loop in this thread, which Django and other loops would mind."""
        asyncio._set_running_loop(self._loop)
        try:
            if not self._browser.is_connected():  # a test before has lost it
                self._browser = self._launched()
            yield self._browser
        finally:
            for context in self._browser.contexts:
                context.close()
            asyncio._set_running_loop(None)

    def _launched(self) -> Chromium:
        return self._playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    def _end(self) -> None:
        asyncio._set_running_loop(self._loop)
        self._browser.close()
        self._playwright.stop()


@cache
def _started() -> _Engine:
    return _Engine()


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
