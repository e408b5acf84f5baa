"""The option ``--since``, the same for every command."""

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from billing.snapshot import moment


def since(options: dict[str, Any]) -> datetime | None:
    """The moment that was given. Raises CommandError."""
    try:
        return moment(options["since"]) if options["since"] else None
    except ValueError as exc:
        raise CommandError(f"--since: {exc}") from exc
