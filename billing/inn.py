"""The numbers by which Russian tax offices know a payer. Pure."""

# Weights of the digits before each check digit.
COMPANY = ((2, 4, 10, 3, 5, 9, 4, 6, 8),)
PERSON = ((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
WEIGHTS = {10: COMPANY, 12: PERSON}


def is_inn(text: str) -> bool:
    """Whether it has ten or twelve digits of which the last one or two fit the others."""
    if not (text.isascii() and text.isdigit() and len(text) in WEIGHTS) or not text.strip("0"):
        return False
    return all(_fits(text, weights) for weights in WEIGHTS[len(text)])


def is_kpp(text: str) -> bool:
    """Four digits of the office, two of the reason, which may be letters, three of the turn."""
    reason = text[4:6]
    is_shaped = len(text) == 9 and text.isascii() and (text[:4] + text[6:]).isdigit()
    return is_shaped and reason.isalnum() and reason == reason.upper()


def is_company(inn: str) -> bool:
    """A company has a КПП, a sole trader has none."""
    return len(inn) == 10


def _fits(text: str, weights: tuple[int, ...]) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(weights, text, strict=False))
    return total % 11 % 10 == int(text[len(weights)])
