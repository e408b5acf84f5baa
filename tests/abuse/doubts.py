"""What makes figures worth nothing: a load that was not there, or customers who were not served beside it."""

DOUBTS: list[str] = []


def expect(is_so: bool, otherwise: str) -> bool:
    """Say aloud what is ``otherwise`` than the figures take for granted; the run ends with 1 then."""
    if not is_so:
        DOUBTS.append(otherwise)
        print(f"NOT SO: {otherwise}", flush=True)
    return is_so
