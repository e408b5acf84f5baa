"""Bring the database up to date: migrations, static files, catalogue, and whom the first screen names.

Run by ``xrouter.run`` once the servers answer. A line for each step on standard output; on failure the
last line of standard error is a sentence.
"""

import json
import os
import secrets
import sys
from io import StringIO
from typing import Any

import django
import redis
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts import keys
from monitoring import sharing
from xrouter.errors import CannotStart
from xrouter.home import Home, read_pairs, write_pairs

CLIENT = "Demo"
ADMIN = "admin@xrouter.local"
CUSTOMER = "demo@xrouter.local"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
    try:
        django.setup()
        check_servers()
        call_command("migrate", verbosity=0, interactive=False)
        say("The database is up to date.")
        call_command("collectstatic", verbosity=0, interactive=False)
        call_command("bootstrap", stdout=StringIO())
        say("The catalogue is loaded.")
        make_logins(Home(settings.XROUTER_HOME))
        if settings.XROUTER_METRICS_DIR:
            sharing.clear(settings.XROUTER_METRICS_DIR)
    except (CannotStart, CommandError, ImproperlyConfigured) as exc:
        print(" ".join(str(exc).split()), file=sys.stderr)  # noqa: T201
        return 1
    return 0


def say(step: str) -> None:
    print(f"  {step}", flush=True)  # noqa: T201


def check_servers() -> None:
    """Do both servers answer? Raises CannotStart."""
    try:
        with connection.cursor() as cursor:  # Django keeps the connection for what follows
            # Limits of requests: a migration may think longer on a busy machine.
            cursor.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
    except OperationalError as exc:
        raise CannotStart(f"DATABASE_URL does not lead to a database: {exc}") from exc
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as exc:
        raise CannotStart(f"REDIS_URL does not lead to a Redis server: {exc}") from exc


def make_logins(home: Home) -> None:
    """The demonstration key and the two people, where this database does not have them yet."""
    known = read_pairs(home.logins)
    logins = {
        "api_key": _key(known.get("api_key", "")),
        "admin": ADMIN,
        "admin_password": _person(ADMIN, known.get("admin_password"), "--staff"),
        "customer": CUSTOMER,
        "customer_password": _person(CUSTOMER, known.get("customer_password"), f"--client={CLIENT}"),
        **_providers(),
    }
    if logins != known:
        write_pairs(home.logins, "What the screen of `make run` shows.", logins)


def _key(known: str) -> str:
    """A key that works: the known one if this database has it, else a new one."""
    if known and apps.get_model("accounts.ApiKey").objects.with_prefix(known[: keys.PREFIX_LENGTH]).exists():
        return known
    answer = StringIO()
    what = ["--client", CLIENT, "--label", "quickstart", "--plan", "paid", "--balance", "1000", "--json"]
    call_command("create_key", *what, stdout=answer)
    return str(json.loads(answer.getvalue())["key"])


def _person(email: str, known: str | None, role: str) -> str:
    """The password of a person who may have changed it since: one who exists is left alone."""
    password = known or secrets.token_urlsafe(12)
    if not apps.get_model("accounts.User").objects.filter(email=email).exists():
        call_command("create_login", email, role, stdin=StringIO(password), stdout=StringIO())
    return password


def _providers() -> dict[str, str]:
    """The names of the providers that answer themselves, by a twin, and not at all."""
    names: dict[str, list[str]] = {"real": [], "simulated": [], "silent": []}
    for provider in apps.get_model("providers.Provider").objects.filter(twin_of=None):
        names[_voice(provider)].append(provider.name)
    return {voice: ", ".join(sorted(providers)) for voice, providers in names.items()}


def _voice(provider: Any) -> str:
    if provider.credentials.filter(is_enabled=True).exists():
        return "real"
    return "simulated" if settings.XROUTER_TWINS == "auto" and hasattr(provider, "twin") else "silent"


if __name__ == "__main__":
    sys.exit(main())
