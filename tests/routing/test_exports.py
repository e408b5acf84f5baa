"""Lists that leave the portal as CSV and are complete only here. What CSV is: see tests/billing."""

import pytest
from django.urls import reverse

from tests.builders import clerks_browser, make_client, make_generation, operators_browser

pytestmark = pytest.mark.django_db

LISTS = {"accounts_client": "client", "billing_generation": "generation"}


def taken(browser, page: str):
    answer = browser.post(reverse(f"admin:{page}_export"))
    return answer, b"".join(answer.streaming_content).decode("utf-8-sig") if answer.streaming else ""


@pytest.mark.parametrize("page", LISTS)
def test_a_list_is_taken_away_with_what_people_wrote_as_text(page):
    make_generation(make_client("=1+1", balance="7.5"), model="gigachat/pro")

    answer, csv = taken(operators_browser(), page)

    assert answer.status_code == 200
    head, row = csv.splitlines()
    assert len(head.split(";")) == len(row.split(";"))
    assert "'=1+1" in row.split(";")


@pytest.mark.parametrize(("page", "model"), LISTS.items())
def test_who_may_see_a_list_may_not_take_it_away(page, model):
    answer, _csv = taken(clerks_browser(f"view_{model}"), page)

    assert answer.status_code == 403


def test_our_own_cost_is_not_in_the_list_of_generations():
    make_generation(own_cost=123_456_789)

    _answer, csv = taken(operators_browser(), "billing_generation")

    assert "123" not in csv.replace(" ", "").splitlines()[1].split(";")[13:]
    assert "Себестоимость" not in csv
