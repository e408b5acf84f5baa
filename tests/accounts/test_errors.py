import pytest

from accounts import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.MissingKey,
        errors.InvalidKey,
        errors.MalformedKey,
        errors.TooManyGuesses,
        errors.AddressNotAllowed,
        errors.ModelNotAllowed,
        errors.ClientBlocked,
    ],
)
def test_every_refusal_is_a_sentence(error):
    assert issubclass(error, errors.AccessDenied)
    assert str(error()).endswith(".")
    assert str(error("Другое.")) == "Другое."
