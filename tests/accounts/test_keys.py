import string

import pytest

from accounts.errors import InvalidKey, MalformedKey
from accounts.keys import KEY_LENGTH, Kind, checksum, digest, matches, new_key, parse

BODY = "xr-live-Ab3dE6gHi9kLmN0pQrStUvWxYz012345"
GOOD = f"{BODY}-{checksum(BODY)}"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_new_key_can_be_read_back(kind):
    key = new_key(kind)

    parsed = parse(key.plaintext)

    assert (parsed.text, parsed.prefix, parsed.kind) == (key.plaintext, key.prefix, kind)
    assert key.prefix == key.plaintext[:16]
    assert len(key.plaintext) == KEY_LENGTH == 47
    assert len(key.digest) == 32


def test_keys_do_not_repeat():
    assert len({new_key(Kind.LIVE).plaintext for _ in range(1000)}) == 1000


def test_the_checksum_is_the_published_one():
    # A contract with whoever looks for leaked keys: CRC32 in base 62, digits first, then capitals.
    assert checksum("xr-live-00000000000000000000000000000000") == "3ngBEK"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "xr-live",
        "sk-" + GOOD[3:],
        GOOD.replace("live", "Live"),
        GOOD.replace("live", "prod"),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD[:-1],
        GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1"),
        GOOD.replace("Ab3d", "bA3d"),
        GOOD.replace("A", "А"),  # Cyrillic
        GOOD.replace("0", "٠"),  # an Arabic digit
        GOOD.replace("-", "–"),
        "\0" * KEY_LENGTH,
        "\ud800" * KEY_LENGTH,
        GOOD * 100_000,
    ],
)
def test_what_cannot_be_a_key_is_refused(text):
    with pytest.raises(MalformedKey) as caught:
        parse(text)

    assert isinstance(caught.value, InvalidKey)
    assert str(caught.value) == "Неверный API-ключ."


@pytest.mark.parametrize("place", range(len("xr-live-"), len(BODY)))
def test_one_wrong_character_is_always_noticed(place):
    for wrong in string.digits + string.ascii_letters:
        if wrong != GOOD[place]:
            with pytest.raises(MalformedKey):
                parse(GOOD[:place] + wrong + GOOD[place + 1 :])


def test_only_the_same_text_matches_a_digest():
    assert matches(GOOD, digest(GOOD))
    assert not matches(GOOD, digest(GOOD + "x"))


def test_a_key_is_not_told_by_its_repr():
    key = new_key(Kind.LIVE)

    shown = repr(key) + repr(parse(key.plaintext))

    assert key.plaintext not in shown
    assert key.plaintext[20:40] not in shown
