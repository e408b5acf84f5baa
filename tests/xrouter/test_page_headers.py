"""What every page tells a browser, whoever asks and whatever became of it."""

import pytest
from django.test import Client as Browser

from tests.builders import alice, operators_browser

pytestmark = pytest.mark.django_db

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}
PUBLIC = ["/", "/login/", "/docs/", "/ничего", "/admin/login/"]
PRIVATE = [
    "/admin/",
    "/admin/accounts/client/",
    "/admin/nothing/",
    "/mfa/",
    "/dashboard/x.css",
    "/admin/x.css",
]


@pytest.mark.parametrize("path", [*PUBLIC, *PRIVATE])
def test_a_page_says_what_may_be_done_with_it(path):
    for browser in (Browser(), operators_browser()):
        answer = browser.get(path)

        assert {name: answer[name] for name in EVERYWHERE} == EVERYWHERE
        assert "frame-ancestors 'none'" in answer["content-security-policy"]
        assert (
            "'unsafe-inline'"
            not in answer["content-security-policy"].partition("script-src")[2].partition(";")[0]
        )


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_for_one_person_is_kept_by_nobody_between(path):
    browser = operators_browser()

    answer = browser.get(path)

    assert answer.status_code == 404 or "no-store" in answer["cache-control"]


def test_a_page_of_a_person_under_the_name_of_a_file_is_not_there():
    browser = Browser()
    browser.force_login(alice())

    assert [browser.get(f"{page}/x.css").status_code for page in ("/dashboard", "/mfa", "/login")] == [
        404
    ] * 3
