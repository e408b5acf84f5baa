"""The state of an installation: secrets are made once, kept private, and the environment wins."""

import base64
import socket
import stat
from pathlib import Path

import pytest

from xrouter.errors import CannotStart
from xrouter.home import Home, keep_secrets, locked, open_home, read_pairs, write_pairs


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_belongs_to_its_owner_alone(home: Home) -> None:
    assert mode(home.path) == mode(home.logs) == 0o700


def test_an_empty_directory_becomes_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    open_home(tmp_path)

    assert mode(tmp_path) == 0o700


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CannotStart, match="not a directory"):
        open_home(tmp_path / "file")


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CannotStart, match="cannot be written: Not a directory"):
        open_home(tmp_path / "file" / "below")


def test_secrets_are_made_once(home: Home) -> None:
    first = keep_secrets(home, {})
    write_pairs(home.environment, "title", first)

    assert keep_secrets(home, {}) == first


def test_the_vault_key_is_32_random_bytes_with_an_id(home: Home) -> None:
    key_id, _, key = keep_secrets(home, {})["XROUTER_VAULT_KEYS"].partition(":")

    assert key_id == "k1"
    assert len(base64.b64decode(key, validate=True)) == 32


def test_the_environment_wins_over_what_is_kept(home: Home) -> None:
    write_pairs(home.environment, "title", keep_secrets(home, {}))

    assert keep_secrets(home, {"XROUTER_SECRET_KEY": "given"})["XROUTER_SECRET_KEY"] == "given"


def test_a_port_taken_meanwhile_is_chosen_anew(home: Home) -> None:
    first = keep_secrets(home, {})
    write_pairs(home.environment, "title", first)

    with socket.create_server(("127.0.0.1", int(first["XROUTER_REDIS_PORT"]))):
        second = keep_secrets(home, {})

    assert second["XROUTER_REDIS_PORT"] != first["XROUTER_REDIS_PORT"]
    assert second["XROUTER_POSTGRES_PORT"] == first["XROUTER_POSTGRES_PORT"]


@pytest.mark.parametrize("file", ["PG_VERSION", "postgresql.conf"])
def test_data_without_its_secrets_is_not_overwritten(home: Home, file: str) -> None:
    home.postgres.mkdir()
    (home.postgres / file).touch()

    with pytest.raises(CannotStart, match="environment is missing"):
        keep_secrets(home, {})


@pytest.mark.parametrize("lines", range(8))
def test_data_with_some_of_its_secrets_is_not_overwritten(home: Home, lines: int) -> None:
    write_pairs(home.environment, "title", keep_secrets(home, {}))
    home.environment.write_text("".join(home.environment.read_text().splitlines(keepends=True)[:lines]))
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").touch()

    with pytest.raises(CannotStart, match="environment is incomplete"):
        keep_secrets(home, {})


def test_a_given_password_does_not_replace_the_one_that_opens_the_data(home: Home) -> None:
    write_pairs(home.environment, "title", keep_secrets(home, {}))
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").touch()

    with pytest.raises(CannotStart, match="XROUTER_POSTGRES_PASSWORD is not the one in"):
        keep_secrets(home, {"XROUTER_POSTGRES_PASSWORD": "another"})


def test_secrets_given_from_outside_need_no_file(home: Home) -> None:
    first = keep_secrets(home, {})
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").touch()

    assert keep_secrets(home, first) == first


def test_pairs_are_read_as_written_and_readable_by_their_owner_only(home: Home) -> None:
    pairs = {"A": "k1:a+/=", "B": "", "C": "GigaChat, «Яндекс»"}

    write_pairs(home.logins, "title", pairs)

    assert read_pairs(home.logins) == pairs
    assert mode(home.logins) == 0o600


@pytest.mark.parametrize("content", [b"garbage\n", b"\xff\xfe", b"two words=1\n"])
def test_a_damaged_file_is_named(home: Home, content: bytes) -> None:
    home.environment.write_bytes(content)

    with pytest.raises(CannotStart, match=r"environment .*damaged"):
        read_pairs(home.environment)


def test_one_home_has_one_installation(home: Home) -> None:
    with locked(home), pytest.raises(CannotStart, match="already running"), locked(home):
        pass


def test_a_lock_ends_with_its_holder(home: Home) -> None:
    with locked(home):
        pass

    with locked(home):
        assert (home.path / "lock").read_text().strip().isdigit()
