"""Counts tokens where no vendor did, and judges what a vendor says it counted. Pure.

The count is an estimate: three characters a token, what Russian text takes on the tokenizers of GigaChat
and YandexGPT, give or take a third. Records made from it say ``estimated``.
"""

from typing import Any

from providers.wire import Chat

CHARACTERS_PER_TOKEN = 3
# Role and separators around each message.
TOKENS_PER_MESSAGE = 4

Usage = dict[str, Any]


def tokens_of(characters: int) -> int:
    """Tokens in a text of so many characters, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def prompt_tokens(chat: Chat) -> int:
    """An estimate of the tokens in the messages and tools of ``chat``."""
    messages = chat["messages"]
    characters = sum(_characters(message) for message in messages) + _characters(chat.get("tools"))
    return tokens_of(characters) + TOKENS_PER_MESSAGE * len(messages)


def estimate(chat: Chat, produced: int) -> Usage:
    """Usage by our own count, for an answer of ``produced`` characters."""
    prompt, completion = prompt_tokens(chat), tokens_of(produced)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def is_plausible(usage: Usage, own: Usage) -> bool:
    """Whether a vendor's count can be true, measured against our own."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    if not prompt or (own["completion_tokens"] and not completion):
        return False
    return prompt <= 4 * own["prompt_tokens"] + 100 and completion <= 4 * own["completion_tokens"] + 50


def _characters(value: Any) -> int:
    """Characters in all strings below ``value``. Its depth is bounded by the reading of the request."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _characters(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    return 0
