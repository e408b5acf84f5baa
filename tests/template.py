"""A migrated database that other databases are copied from.

To migrate takes five seconds of CPU, to copy a fraction of one, and a whole run of the tests makes dozens.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

# Where its name is told to the processes of one run; without it each migrates for itself.
VARIABLE = "TESTS_TEMPLATE"
NAME = "xrouter_template"


def template() -> str | None:
    return os.environ.get(VARIABLE)


@contextmanager
def migrated_once() -> Iterator[None]:
    """Make it, and tell its name as long as this lasts."""
    ours = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{NAME}"))
    _drop()
    create(ours)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"],
        check=True,
        env={**os.environ, "DATABASE_URL": ours},
    )
    os.environ[VARIABLE] = NAME
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        _drop()


def create(database: str) -> None:
    """Make the database with this address: a copy of the template if there is one, else empty."""
    name = urlsplit(database).path.removeprefix("/")
    copied = template()
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if copied:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(copied))
    _order(statement)


def _drop() -> None:
    _order(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME)))


def _order(statement: sql.Composable) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)
