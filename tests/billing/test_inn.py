import pytest

from billing.inn import is_company, is_inn, is_kpp


# Numbers that Sberbank, Gazprom and Yandex publish, and one of a person by the rule.
@pytest.mark.parametrize("inn", ["7707083893", "7736050003", "7736207543", "500100732259"])
def test_a_real_number_fits_itself(inn):
    assert is_inn(inn)


@pytest.mark.parametrize("inn", ["7707083893", "500100732259"])
def test_no_single_slip_of_a_digit_gets_by(inn):
    slips = [
        inn[:place] + str((int(digit) + step) % 10) + inn[place + 1 :]
        for place, digit in enumerate(inn)
        for step in (1, 3, 9)
    ]

    # The rule takes a remainder of ten for nought, so that one slip in some dozens is another real number.
    assert sum(is_inn(slip) for slip in slips) <= len(slips) // 10
    assert not is_inn(inn[:-1] + str((int(inn[-1]) + 1) % 10))


@pytest.mark.parametrize(
    "text", ["", "0000000000", "770708389", "77070838931", "77070838٩3", "770708389a", " 7707083893"]
)
def test_what_has_another_form_is_none(text):
    assert not is_inn(text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("773601001", True),
        ("7736AB001", True),
        ("7736ab001", False),
        ("77360100", False),
        ("77360100A", False),
    ],
)
def test_a_kpp_has_nine_signs(text, fits):
    assert is_kpp(text) is fits


def test_companies_have_ten_digits():
    assert is_company("7707083893") and not is_company("500100732259")
