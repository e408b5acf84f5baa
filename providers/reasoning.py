"""How much a model is to think: one word from the two fields that ask for it. Pure."""

from providers.wire import Chat

# OpenRouter's budgets, in tokens of thought: up to so many are this level. No vendor here takes a number.
BUDGETS = ((2_048, "low"), (8_192, "medium"))
BEYOND = "high"


def effort_of(chat: Chat) -> str | None:
    """OpenAI's word for how much to think; "none" for not at all, None where nothing is said.

    ``reasoning_effort`` and the ``reasoning`` object of OpenRouter's API do not contradict each other: that
    was a 400 at the door.
    """
    asked = chat.get("reasoning")
    if chat.get("reasoning_effort") is not None or not isinstance(asked, dict):
        return chat.get("reasoning_effort")
    if asked.get("enabled") is False:
        return "none"
    if budget := asked.get("max_tokens"):
        return next((level for most, level in BUDGETS if budget <= most), BEYOND)
    # "Enabled" alone means the middle level, as in OpenRouter's API.
    return asked.get("effort") or ("medium" if asked.get("enabled") else None)


def hides_thoughts(chat: Chat) -> bool:
    """Whether the customer wants the thoughts thought, and not told."""
    return bool((chat.get("reasoning") or {}).get("exclude"))
