"""Amounts and long figures as people read them."""

import pytest
from django.utils.translation import override

from billing.figures import grouped, roubles, signed_roubles
from billing.money import roubles as micro


@pytest.mark.parametrize(
    ("amount", "language", "shown"),
    [
        ("0", "ru", "0,00 ₽"),
        ("2.5", "ru", "2,50 ₽"),
        ("1234567.89", "ru", "1 234 567,89 ₽"),
        ("0.000001", "ru", "0,000001 ₽"),
        ("-3", "ru", "-3,00 ₽"),
        ("1234.5", "en", "1,234.50 ₽"),
    ],
)
def test_roubles_are_shown_exactly_and_with_kopecks(amount, language, shown):
    with override(language):
        assert roubles(micro(amount)).replace("\xa0", " ") == shown


@pytest.mark.parametrize(("language", "shown"), [("ru", "1 234 567"), ("en", "1,234,567")])
def test_long_figures_are_grouped_as_the_reader_groups_them(language, shown):
    with override(language):
        assert grouped(1_234_567).replace("\xa0", " ") == shown


@pytest.mark.parametrize(("amount", "shown"), [("2.5", "+2,50 ₽"), ("-1234", "−1 234,00 ₽")])
def test_what_has_moved_bears_its_sign(amount, shown):
    assert signed_roubles(micro(amount)).replace("\xa0", " ") == shown
