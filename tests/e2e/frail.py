"""Models whose circuits are automatic, each with providers and credentials of its own: what a test does to
the health of one is no other test's concern. The twins ``frail`` are behind all of them, so that they can be
told apart by their families.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Place:
    """An endpoint of a model, with a provider of its own."""

    wire: str = "openai"
    keys: int = 1  # credentials; see ``api_key``
    slots: int = 1_000  # of each
    context: int | None = None  # tokens, if not the model's
    is_patient: bool = False
    is_slow: bool = False  # to time out


FIRST, SECOND, THIRD = Place(), Place("gen-t"), Place("mts-ai")
# What a provider says of the time to wait: with "" nothing.
WAITS = ("30", "huge", "date", "bad", "neg", "")
REFUSALS = ("http_401", "http_402", "http_403")

# Model: its endpoints. Those of ``EQUALS`` are as good as each other, all others are asked in this order.
FRAIL: dict[str, tuple[Place, ...]] = {
    "trio": tuple(replace(place, is_slow=True) for place in (FIRST, SECOND, THIRD)),
    "bystander": (Place("yandexgpt", is_patient=True),),
    **dict.fromkeys(
        ["down", "burst", "flapping", "again-1", "again-2", "again-3", "again-4"], (FIRST, SECOND)
    ),
    **dict.fromkeys(["lone", "mended", "parked", "moment"], (FIRST,)),
    **dict.fromkeys(["innocent", "stale"], (Place(is_patient=True),)),
    "expiring": (Place("gigachat", is_patient=True),),
    **{f"busy-{wait}": (Place(keys=2),) for wait in WAITS},
    **{f"refused-{refusal}": (Place(keys=2),) for refusal in REFUSALS},
    "spill": (Place(slots=1, is_patient=True), Place("gen-t", is_patient=True)),
    **dict.fromkeys(["queue", "leaver", "killed", "forgotten"], (Place(slots=1, is_patient=True),)),
    "narrow": (Place("gen-t", context=60_000, is_patient=True), Place(context=131_072, is_patient=True)),
}
EQUALS = {"trio"}

# What two providers of one model do to every answer, in each pair of ways. Their circuits are closed.
BREAKS = ("http_503", "http_409", "http_429", "http_401", "reset_before_headers", "blackhole")


def api_key(model: str, number: int) -> str:
    """Of a model's credential, counted from 0; twins can be asked who came with it."""
    return f"{model}-key-{number}"
