import base64

import pytest
from django.core.exceptions import ImproperlyConfigured

from providers import vault
from providers.vault import VaultError, seal, unseal

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture(autouse=True)
def keys(settings):
    settings.XROUTER_VAULT_KEYS = [OLD]


def test_what_was_sealed_comes_back():
    key_id, sealed = seal("секрет".encode(), "row:1")

    assert key_id == "old"
    assert "секрет".encode() not in sealed
    assert unseal(key_id, sealed, "row:1") == "секрет".encode()


def test_the_same_secret_never_looks_the_same():
    assert seal(b"x", "row:1") != seal(b"x", "row:1")


def test_a_ciphertext_is_of_no_use_in_another_row():
    key_id, sealed = seal(b"x", "row:1")

    with pytest.raises(VaultError):
        unseal(key_id, sealed, "row:2")


@pytest.mark.parametrize("place", [0, 11, 12, -1])
def test_a_changed_byte_is_noticed(place):
    key_id, sealed = seal(b"x", "row:1")
    changed = bytearray(sealed)
    changed[place] ^= 1

    with pytest.raises(VaultError):
        unseal(key_id, bytes(changed), "row:1")


@pytest.mark.parametrize("sealed", [b"", b"short", b"0" * 12])
def test_what_is_too_short_is_not_unsealed(sealed):
    with pytest.raises(VaultError):
        unseal("old", sealed, "row:1")


def test_the_first_key_seals_and_all_unseal(settings):
    before = seal(b"x", "row:1")

    settings.XROUTER_VAULT_KEYS = [NEW, OLD]

    assert unseal(*before, "row:1") == b"x"
    assert seal(b"x", "row:1")[0] == "new"


def test_a_dropped_key_is_named(settings):
    before = seal(b"x", "row:1")

    settings.XROUTER_VAULT_KEYS = [NEW]

    with pytest.raises(VaultError, match="«old»"):
        unseal(*before, "row:1")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [""],
        ["k1"],
        ["k1:"],
        [":" + OLD.partition(":")[2]],
        ["k1:not base64"],
        ["k1:шифр"],
        ["k1:" + base64.b64encode(b"x" * 16).decode()],
        [OLD, OLD],
    ],
)
def test_a_bad_key_stops_with_a_sentence_that_does_not_quote_it(settings, entries):
    settings.XROUTER_VAULT_KEYS = entries

    with pytest.raises(ImproperlyConfigured, match="XROUTER_VAULT_KEYS: ") as caught:
        vault.ring()

    assert not any(entry.partition(":")[2] in str(caught.value) for entry in entries if len(entry) > 3)
