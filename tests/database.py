"""The test database for code that connects by itself, beside Django."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

NAMES = ("dbname", "user", "password", "host", "port")
# Milliseconds. Of threads that wait in a row for one lock the last waits for all the others, and on a busy
# machine each of them for the processor.
PATIENCE = "-c lock_timeout=60000 -c statement_timeout=60000"


def dsn() -> str:
    """The test database as libpq takes it."""
    parameters = connection.get_connection_params()
    return make_conninfo(**{name: parameters[name] for name in NAMES if parameters.get(name)})


@contextmanager
def own_connection() -> Iterator[None]:
    """Around what a test's thread runs: Django's connection there is patient, and closed in the end.

    It stays patient when what is tested closes it and makes another.
    """
    given = connection.settings_dict
    options = {**given["OPTIONS"], "options": f"{given['OPTIONS']['options']} {PATIENCE}"}
    connection.close()  # one that was made before is not
    connection.settings_dict = {**given, "OPTIONS": options}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = given


def rows(query: str, *args: Any) -> list[dict[str, Any]]:
    """What has been committed."""
    with psycopg.connect(dsn(), row_factory=dict_row, autocommit=True) as reader:
        return reader.execute(query, args).fetchall()


def change(query: str, *args: Any) -> None:
    """Run and commit ``query`` in a connection of its own."""
    with psycopg.connect(dsn(), autocommit=True) as writer:
        writer.execute(query, args)


def hang_up(application: str) -> None:
    """End every connection that calls itself ``application``, as a restart of the server does."""
    change(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        application,
    )


def connections(application: str) -> int:
    """How many connections to the test database call themselves ``application``."""
    seen = rows(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
        application,
    )
    return int(seen[0]["count"])


def somebody_waits() -> int:
    """How many connections to the test database wait for a lock."""
    return len(
        rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    )
