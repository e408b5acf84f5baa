"""What an installation that customers reach by HTTPS must not have. Pure."""

from collections.abc import Iterable

# As Django's own ``check --deploy`` asks for.
KEY_LENGTH, KEY_LETTERS = 50, 5


def complaints(*, debug: bool, hosts: Iterable[str], secret_key: str) -> list[str]:
    """A sentence on each setting that would give something away."""
    found = []
    if debug:
        found.append("XROUTER_DEBUG shows settings and code to whoever finds a mistake: switch it off")
    if "*" in hosts:
        found.append("XROUTER_ALLOWED_HOSTS is *: name the hosts, or links may lead to somebody else's")
    if len(secret_key) < KEY_LENGTH or len(set(secret_key)) < KEY_LETTERS:
        found.append(f"XROUTER_SECRET_KEY can be guessed: take {KEY_LENGTH} random characters or more")
    return found
