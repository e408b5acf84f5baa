"""How limits of rate are told in headers."""

import pytest

from billing.errors import rate_limited
from billing.limits import Standing, Window
from routing.call import call_from
from routing.desk import refusal
from routing.rates import duration, rate_headers


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0ms"), (0.25, "250ms"), (59.2, "1m0s"), (360.0, "6m0s"), (86_400.0, "24h0m0s")],
)
def test_durations_are_written_as_openai_does(seconds: float, said: str):
    assert duration(seconds) == said


def test_a_refusal_for_tokens_tells_one_time_everywhere():
    standing = Standing(tokens=Window(limit=100, remaining=0, reset=60.7))

    told = refusal(rate_limited("c:1", "tokens_per_minute", 100, 60.7, standing), call_from({}, ""))

    assert "через 60 с" in told.body.decode()
    assert (told.headers["retry-after"], told.headers["x-ratelimit-reset-tokens"]) == ("60", "1m0s")


def test_of_a_day_the_whole_rest_is_told():
    headers = rate_headers(Standing(requests=Window(limit=200, remaining=0, reset=7_200.0)))

    assert headers["x-ratelimit-reset-requests"] == "2h0m0s"
