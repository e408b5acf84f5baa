import pytest

from billing.errors import DailyQuotaReached, RateLimited, rate_limited
from billing.limits import Standing


def said(scope: str, name: str, limit: int, wait: float) -> str:
    return str(RateLimited(scope, name, limit, wait, Standing()))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            ("c:1", "requests_per_second", 1, 0.4),
            "Превышен лимит вашей организации: не больше 1 запроса в секунду. Повторите через 1 с.",
        ),
        (
            ("c:1", "requests_per_minute", 20, 13.2),
            "Превышен лимит вашей организации: не больше 20 запросов в минуту. Повторите через 14 с.",
        ),
        (
            ("k:7", "requests_per_day", 201, 9999.0),
            "Превышен лимит этого API-ключа: не больше 201 запроса в сутки. "
            "Новые сутки начнутся в полночь по московскому времени.",
        ),
        (
            ("k:7", "tokens_per_minute", 11, 60.0),
            "Превышен лимит этого API-ключа: не больше 11 токенов в минуту. Повторите через 60 с.",
        ),
        (
            ("c:1", "tokens_per_minute", 1, 60.7),
            "Превышен лимит вашей организации: не больше 1 токена в минуту. Повторите через 60 с.",
        ),
        (
            ("c:1", "concurrent_requests", 5, 1.0),
            "Превышен лимит вашей организации: не больше 5 одновременных запросов. "
            "Дождитесь окончания одного из них.",
        ),
    ],
)
def test_a_refusal_names_whose_limit_which_and_what_to_do(facts, sentence):
    assert said(*facts) == sentence


def test_only_the_day_is_daily():
    assert type(rate_limited("c:1", "requests_per_day", 1, 5.0, Standing())) is DailyQuotaReached
    assert type(rate_limited("c:1", "requests_per_minute", 1, 5.0, Standing())) is RateLimited
