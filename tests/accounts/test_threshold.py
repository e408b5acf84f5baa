"""Who gets as far as the portal: from where, and after what pause."""

import runpy
import time
from pathlib import Path

import environ
import pytest
from django.test import Client as Browser

from accounts.models import User
from accounts.threshold import LAST_SEEN, LONGEST_PAUSE, NOTED_EVERY
from tests.builders import operators_browser

pytestmark = pytest.mark.django_db

SETTINGS = Path(__file__).parents[2] / "xrouter/settings.py"
NEAR, FAR = "10.1.2.3", "203.0.113.7"


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


# Where -------------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(settings) -> None:
    settings.XROUTER_STAFF_NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/admin/accounts/client/", "/admin/jsi18n/", "/admin/x"]
)
def test_from_elsewhere_there_is_no_portal(hidden, operator, client, path):
    assert operator.get(path, REMOTE_ADDR=FAR).status_code == 404
    assert client.get(path, REMOTE_ADDR=FAR).status_code == 404


@pytest.mark.parametrize("address", [NEAR, "2001:db8::1"])
def test_from_the_networks_there_is_one(hidden, operator, address):
    assert operator.get("/admin/", REMOTE_ADDR=address).status_code == 200


def test_a_forwarded_address_is_believed_from_our_proxies_only(hidden, operator, settings):
    through = {"REMOTE_ADDR": "198.51.100.1", "HTTP_X_FORWARDED_FOR": f"{FAR}, {NEAR}"}
    assert operator.get("/admin/", **through).status_code == 404

    settings.XROUTER_TRUSTED_PROXIES = ["198.51.100.1/32"]

    assert operator.get("/admin/", **through).status_code == 200
    far = {**through, "HTTP_X_FORWARDED_FOR": f"{NEAR}, {FAR}"}
    assert operator.get("/admin/", **far).status_code == 404


def test_through_two_proxies_in_the_networks_of_staff_the_far_stay_far(hidden, operator, settings):
    settings.XROUTER_TRUSTED_PROXIES = settings.XROUTER_STAFF_NETWORKS
    through = {"REMOTE_ADDR": "10.0.0.6", "HTTP_X_FORWARDED_FOR": f"{NEAR}, {FAR}, 10.0.0.5"}

    assert operator.get("/admin/", **through).status_code == 404


def test_customers_pages_are_everywhere(hidden, client):
    assert client.get("/login/", REMOTE_ADDR=FAR).status_code == 200


def test_a_network_that_is_none_stops_the_start(monkeypatch):
    monkeypatch.setenv("XROUTER_STAFF_NETWORKS", "10.0.0.0/8,everywhere")

    with pytest.raises(environ.ImproperlyConfigured, match=r"XROUTER_STAFF_NETWORKS.*everywhere"):
        runpy.run_path(str(SETTINGS), run_name="xrouter.settings")


# After what pause --------------------------------------------------------------------------------------


def shift(browser: Browser, seconds: float) -> None:
    """Let the last page of the portal be so long ago."""
    session = browser.session
    session[LAST_SEEN] = int(time.time() - seconds)
    session.save()


def test_who_was_away_for_too_long_logs_in_again(operator):
    assert operator.get("/admin/").status_code == 200
    shift(operator, LONGEST_PAUSE.total_seconds() + 1)

    answer = operator.get("/admin/accounts/client/?q=x")

    assert answer.status_code == 302
    assert answer["location"].startswith("/login/?next=/admin/accounts/client/")
    assert "_auth_user_id" not in operator.session


def test_who_was_there_lately_stays_and_that_is_noted_now_and_then(operator):
    operator.get("/admin/")
    shift(operator, NOTED_EVERY / 2)
    earlier = operator.session[LAST_SEEN]
    assert operator.get("/admin/").status_code == 200
    assert operator.session[LAST_SEEN] == earlier

    shift(operator, LONGEST_PAUSE.total_seconds() - 60)

    assert operator.get("/admin/").status_code == 200
    assert operator.session[LAST_SEEN] >= time.time() - 60


def test_each_session_is_noted_by_itself_from_its_first_page_on(operator):
    operator.get("/admin/")

    assert operator.session[LAST_SEEN] >= time.time() - 60


def test_a_log_in_elsewhere_opens_no_portal_to_a_session_that_was_begun_long_ago(client):
    User.objects.create_superuser("boss@xrouter.example", "a long passphrase 7")
    client.post("/login/", {"username": "boss@xrouter.example", "password": "a long passphrase 7"})
    assert client.get("/dashboard/", follow=True).status_code == 200
    session = client.session
    session["account_authentication_methods"][0]["at"] -= LONGEST_PAUSE.total_seconds()
    session.save()

    assert client.get("/admin/")["location"].startswith("/login/")


def test_a_log_in_of_long_ago_opens_no_portal(operator):
    person = User.objects.get()
    person.last_login -= LONGEST_PAUSE * 2
    person.save()

    assert operator.get("/admin/")["location"].startswith("/login/")


def test_where_there_is_https_browsers_are_told_to_stay_with_it(monkeypatch):
    for said, seconds in {"1": 30 * 24 * 3600, "0": 0}.items():
        monkeypatch.setenv("XROUTER_HTTPS", said)
        read = runpy.run_path(str(SETTINGS), run_name="xrouter.settings")
        assert read.get("SECURE_HSTS_SECONDS", 0) == seconds
