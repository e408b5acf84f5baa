"""Vectors of texts, for all families: texts with words in common have near ones. Pure and deterministic."""

import binascii
import hashlib
import math
import struct
from functools import lru_cache

# Each three letters in a row count at so many places of the vector.
PLACES = 4
# What each step of a byte adds to every number beside them: too little to make texts near or far.
NOISE = 0.0001


@lru_cache(maxsize=4096)
def vector(text: str, size: int) -> tuple[float, ...]:
    """A vector of length 1."""
    # No number is zero, as with models.
    numbers = [(byte - 127.5) * NOISE for byte in hashlib.shake_128(_bytes(text)).digest(size)]
    for letters in _triples(text):
        digest = hashlib.blake2b(_bytes(letters), digest_size=4 * PLACES).digest()
        for found in struct.unpack(f"<{PLACES}I", digest):
            numbers[(found >> 1) % size] += 1 if found & 1 else -1
    length = math.sqrt(sum(number * number for number in numbers))
    return tuple(round(number / length, 6) for number in numbers)


def in_base64(numbers: tuple[float, ...]) -> str:
    """As OpenAI writes it: little-endian, four bytes each."""
    return binascii.b2a_base64(struct.pack(f"<{len(numbers)}f", *numbers), newline=False).decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _triples(text: str) -> list[str]:
    """Every three letters of every word, with its borders."""
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    bordered = [f" {word} " for word in words] or [text]
    return [word[at : at + 3] for word in bordered for at in range(max(1, len(word) - 2))]
