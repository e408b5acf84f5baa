"""How long a busy vendor asks us to wait. Pure."""

from collections.abc import Mapping

from providers.errors import Busy

# The longest wait we take a vendor's word for, in seconds: a huge Retry-After must not park a provider.
LONGEST_WAIT = 300.0


def busy(detail: str, headers: Mapping[str, str]) -> Busy:
    """The error for a 429, with the wait it asks for."""
    return Busy(detail=detail, retry_after=retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, at most LONGEST_WAIT; None if the vendor names none that can be used.

    Dates are not read: that takes a clock.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        # Digits with one point at most: no sign, no exponent, no "nan".
        if text.isascii() and text.replace(".", "", 1).isdecimal():
            return min(float(text[:20]) * unit, LONGEST_WAIT)
    return None
