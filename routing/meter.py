"""Counts tokens where no vendor did, bounds them before one does, and judges what a vendor says. Pure.

Three counts of the same text: an **estimate** (three characters a token, what Russian takes on the tokenizers
of GigaChat and YandexGPT, give or take a third; records made from it say ``estimated``), an upper **bound**
by which money is put on hold, and a lower one by which a stream is stopped.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from msgspec import Struct

from providers.wire import Chat

CHARACTERS_PER_TOKEN = 3
# What earlier answers thought. Agents send it back as they got it; no vendor is told.
THOUGHTS = ("reasoning", "reasoning_content", "reasoning_details")
# Members of a message that are no text to a vendor: its role is TOKENS_PER_MESSAGE.
UNTOLD = frozenset({"role", *THOUGHTS})
# Role and separators around each message.
TOKENS_PER_MESSAGE = 4
# Marks of the beginning and the end of a text that becomes a vector.
TOKENS_PER_TEXT = 2
# An image of ordinary size, and one of the largest that vendors take without scaling it down.
TOKENS_PER_IMAGE = 1_000
LARGEST_IMAGE = 4_000
# What a chat's frame may take at the most: the template, each message's, and what is said around tools.
FRAME_BOUND = 16
MESSAGE_BOUND = 8
TOOLS_BOUND = 384
# No tokenizer fits more characters than these in a token on the average of a whole answer, rulers and
# indented tables included; prose has four.
LONGEST_TOKEN = 16
# A stream may run so much over its limit before it is stopped: vendors count otherwise than we do.
OVER_LIMIT = 1.1


Usage = dict[str, Any]


class Size(Struct, frozen=True):
    """How much a chat says."""

    characters: int
    # Bytes of UTF-8 beyond two for each character: emoji and rare scripts take several tokens a character.
    excess: int
    images: int
    messages: int
    schema_characters: int  # of the form asked of the answer, which some vendors are told as text
    has_tools: bool
    texts: int = 0  # that become vectors, each by itself; a chat has none
    longest: int = 0  # characters of the longest of them

    def estimate(self) -> int:
        """Tokens of the prompt, in all likelihood."""
        frames = TOKENS_PER_MESSAGE * self.messages + TOKENS_PER_TEXT * self.texts
        return tokens_of(self.characters) + frames + TOKENS_PER_IMAGE * self.images

    @property
    def together(self) -> int:
        """Characters that have to fit a context together."""
        return self.longest if self.texts else self.characters

    def bound(self, characters_per_token: float) -> int:
        """Tokens of the prompt at the most, for ordinary text; base64 and the like may take more."""
        return (
            math.ceil((self.characters + self.schema_characters) / characters_per_token)
            + self.excess
            + MESSAGE_BOUND * (self.messages + self.texts)
            + LARGEST_IMAGE * self.images
            + FRAME_BOUND
            + (TOOLS_BOUND if self.has_tools or self.schema_characters else 0)
        )


def tokens_of(characters: int) -> int:
    """Tokens in a text of so many characters, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def measure(chat: Chat) -> Size:
    """How much ``chat`` says. Its depth is bounded by the reading of the request."""
    texts: list[str] = []
    images = sum(_said(message, texts) for message in chat["messages"])
    # As JSON: vendors are told all of it, numbers and brackets too. Some take both forms.
    tools = [*(chat.get("tools") or ()), *(chat.get("functions") or ())]
    if tools:
        texts.append(orjson.dumps(tools).decode())
    form = chat.get("response_format")
    return Size(
        characters=sum(map(len, texts)),
        excess=sum(_excess(text) for text in texts if not text.isascii()),
        images=images,
        messages=len(chat["messages"]),
        schema_characters=len(orjson.dumps(form).decode()) if form else 0,
        has_tools=bool(tools),
    )


def measure_texts(texts: Sequence[str]) -> Size:
    """How much there is to be made into vectors."""
    lengths = [len(text) for text in texts]
    return Size(
        characters=sum(lengths),
        excess=sum(_excess(text) for text in texts if not text.isascii()),
        images=0,
        messages=0,
        schema_characters=0,
        has_tools=False,
        texts=len(texts),
        longest=max(lengths),
    )


def usage(prompt: int, completion: int) -> Usage:
    """OpenAI's usage by our own count."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def with_parts(used: Usage) -> Usage:
    """``used`` with the parts of its totals, 0 where nobody has named them: clients read them unasked."""
    cached, thought = used.get("prompt_tokens_details"), used.get("completion_tokens_details")
    return {
        **used,
        "prompt_tokens_details": {"cached_tokens": 0, **(cached or {})},
        "completion_tokens_details": {"reasoning_tokens": 0, **(thought or {})},
    }


def is_plausible(said: Usage, own: Usage, *, produced: int, most: int, limit: int, may_think: bool) -> bool:
    """Whether a vendor's count can be true, measured against our own.

    ``produced``: characters of the answer; ``most``: the prompt's upper bound; ``limit``: the most tokens it
    was allowed; ``may_think``: whether it may have thought out of our sight.
    """
    prompt, completion = said["prompt_tokens"], said["completion_tokens"]
    if not prompt or completion < -(-produced // LONGEST_TOKEN):
        return False
    if prompt > max(4 * own["prompt_tokens"] + 100, most) or completion > limit:
        return False
    hidden = _reasoning(said) if may_think else 0
    return bool(completion - hidden <= 4 * own["completion_tokens"] + 50)


def is_due(produced: int, thoughts: int, finish_reason: str, *, has_stops: bool) -> bool:
    """Whether an answer of so many characters, some of them ``thoughts``, is to be paid for.

    Without anything in it, it costs nothing. Thoughts alone are no answer where the model ended them, or its
    vendor broke off. They are one where others ended them: the customer by a limit, by leaving or by stops
    (``has_stops``: the vendor is told of them, or we have cut there), or moderation.
    """
    is_in_vain = finish_reason == "error" or (finish_reason == "stop" and not has_stops)
    return produced > (thoughts if is_in_vain else 0)


def is_over(limit: int, characters: int, pieces: int) -> bool:
    """Whether an answer of so many characters, in so many pieces, must have gone beyond ``limit`` tokens."""
    return max(pieces, characters // LONGEST_TOKEN) > limit * OVER_LIMIT


def _reasoning(said: Usage) -> int:
    return int((said.get("completion_tokens_details") or {}).get("reasoning_tokens", 0))


def _excess(text: str) -> int:
    return max(0, len(text.encode("utf-8", "surrogatepass")) - 2 * len(text))


def _said(message: dict[str, Any], texts: list[str]) -> int:
    """Put all strings of ``message`` into ``texts``; the number of its images, which are no text.

    Only a part of a content is an image: whatever else says so of itself is read by the vendor as text.
    """
    images = 0
    for name, value in message.items():
        if name in UNTOLD:
            continue
        if name == "content" and value.__class__ is list:
            others = [part for part in value if part["type"] != "image_url"]
            images = len(value) - len(others)
            _collect(others, texts)
        else:
            _collect(value, texts)
    return images


def _collect(value: Any, texts: list[str]) -> None:
    """Put all strings below ``value`` into ``texts``, keys too."""
    if value.__class__ is str:
        texts.append(value)
    elif isinstance(value, dict):
        texts.extend(value)
        _collect_all(value.values(), texts)
    elif isinstance(value, list):
        _collect_all(value, texts)


def _collect_all(values: Iterable[Any], texts: list[str]) -> None:
    for value in values:
        if value:
            _collect(value, texts)
