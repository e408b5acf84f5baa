"""The test database for code that connects by itself, beside Django."""

from typing import Any

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

NAMES = ("dbname", "user", "password", "host", "port")


def dsn() -> str:
    """The test database as libpq takes it."""
    parameters = connection.get_connection_params()
    return make_conninfo(**{name: parameters[name] for name in NAMES if parameters.get(name)})


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
