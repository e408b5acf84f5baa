import pytest

from accounts.limits import UNLIMITED, Limits
from accounts.models import Plan
from billing.limits import FREE, Visit, limits_of
from billing.money import roubles


def test_the_free_plan_does_not_depend_on_the_balance():
    expected = Limits(requests_per_minute=20, requests_per_day=200, concurrent_requests=5)

    assert limits_of(Plan.FREE, UNLIMITED, 0) == limits_of("free", UNLIMITED, roubles("10000")) == expected


@pytest.mark.parametrize(
    ("balance", "per_second"),
    [("-5", 1), ("0", 1), ("1", 1), ("1.999999", 1), ("2", 2), ("499.9", 499), ("500", 500), ("501", 500)],
)
def test_a_paying_client_gets_a_request_per_second_for_each_whole_rouble(balance, per_second):
    limits = limits_of(Plan.PAID, UNLIMITED, roubles(balance))

    assert limits == Limits(requests_per_second=per_second, concurrent_requests=20)


def test_own_limits_win_one_by_one():
    own = Limits(requests_per_day=1000, tokens_per_minute=9000)

    assert limits_of(Plan.FREE, own, 0) == Limits(
        requests_per_minute=20, requests_per_day=1000, tokens_per_minute=9000, concurrent_requests=5
    )
    assert limits_of(Plan.PAID, Limits(requests_per_second=900), 0).requests_per_second == 900


def test_a_visit_is_limited_if_any_scope_is():
    assert not Visit("1", ()).is_limited
    assert not Visit("1", (("c:1", UNLIMITED), ("k:1", UNLIMITED))).is_limited
    assert Visit("1", (("c:1", UNLIMITED), ("k:1", FREE))).is_limited
