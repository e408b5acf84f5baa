"""For all tests: what takes long and is not what is tested, such as the hashing of passwords, is cheap."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.utils import translation
from psycopg import sql

from tests.template import template

# What Django makes of our models after a migration; no test changes it.
LASTING = {"auth_permission", "django_content_type"}


def pytest_configure(config: pytest.Config) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    _be_patient(settings.DATABASES["default"])
    settings.DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = template()
    TransactionTestCase._fixture_teardown = _empty_the_database
    if hasattr(config, "workerinput"):
        os.nice(config.workerinput.get("lower", 0))  # see tests/suite.py
        _take_a_redis_database(int(config.workerinput["workerid"].removeprefix("gw")))


@pytest.fixture(autouse=True)
def _counting_from_nothing() -> None:
    """What earlier tests have counted, and which codes they have used, stays with them until it expires."""
    settings.CACHES["default"]["KEY_PREFIX"] = caches["default"].key_prefix = uuid4().hex


@pytest.fixture(autouse=True)
def _in_our_language() -> Iterator[None]:
    """A page in another language would leave it to whatever comes next in its thread."""
    yield
    translation.deactivate()


@pytest.fixture(scope="module")
def lasting(django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Makes rows once for all tests of a module. Each changes them in a transaction; none of them commits."""

    def make(rows: Callable[[], None]) -> None:
        with django_db_blocker.unblock():
            rows()

    yield make
    with django_db_blocker.unblock():
        _empty_the_database(None)


def _empty_the_database(_: TransactionTestCase | None) -> None:
    """After a test that commits. The accounts that a migration opens are open again.

    Django's ``flush`` takes ten times as long: TRUNCATE makes new files for every table, and what lasts is
    made anew. As with TRUNCATE, neither foreign keys are looked at nor triggers of rows run.
    """
    from tests.builders import open_our_accounts  # imports models, which need Django to be set up

    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - LASTING)
    statements = [sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in tables]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql.SQL("; ").join(statements))
        open_our_accounts()


def _be_patient(database: dict[str, Any]) -> None:
    """A process of a lower priority may wait longer for the processor than a transaction may idle."""
    options = database["OPTIONS"]
    options["options"] += " -c idle_in_transaction_session_timeout=60000"  # of two the last one counts


def _take_a_redis_database(number: int) -> None:
    """Where several processes test at once, each has one; pytest-django does the same for PostgreSQL."""
    ours = re.sub(r"/\d+$", f"/{number + 1}", settings.REDIS_URL)
    settings.REDIS_URL = os.environ["REDIS_URL"] = settings.CACHES["default"]["LOCATION"] = ours
