"""Makes the clients that come to the tests' installation. Prints their keys, by the visitor, as JSON.

python -m tests.fuzz.guests
"""

import json
import os
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
django.setup()

from django.utils import timezone  # noqa: E402 - models need settings

from accounts.keys import Kind, new_key  # noqa: E402
from accounts.models import Client  # noqa: E402
from billing import ledger  # noqa: E402
from billing.money import roubles  # noqa: E402
from tests.builders import make_client, make_key  # noqa: E402

# Clients of the rich visitor: each may ask the planner 60 times a minute, and nothing else is short.
RICH = 60
PLENTY = {"requests_per_second": 100_000, "concurrent_requests": 5_000}
NEVER_WAS = "xr-live-0000000000000000000000000000000000000000000"


def client_of(name: str, money: int, **fields: object) -> Client:
    made = make_client(name, **fields)
    if money:
        ledger.top_up(made, roubles(str(money)), cause=f"fuzz {name}")
    return made


def key_of(client: Client, kind: Kind = Kind.LIVE, **fields: object) -> str:
    return make_key(client, "fuzz", kind, **fields)[1]


def keys() -> dict[str, list[str]]:
    """Who has plenty of everything, who has little, and who has keys that are worth nothing.

    The keeper's are for what the rich do to their keys.
    """
    rich = [client_of(f"Богатый {number}", 1_000_000, plan="paid", **PLENTY) for number in range(RICH)]
    blocked = client_of("Отключённый", 100, plan="paid", is_active=False)
    yesterday = timezone.now() - timedelta(days=1)
    return {
        "rich": [key_of(each) for each in rich],
        "keeper": [key_of(each, Kind.MANAGEMENT) for each in rich],
        "poor": [key_of(client_of("Бедный", 1)), key_of(client_of("Пустой", 0, plan="paid"))],
        "stranger": [
            key_of(blocked),
            key_of(rich[0], expires_at=yesterday),
            key_of(rich[0], disabled_at=yesterday),
            key_of(rich[0], allowed_addresses=["192.0.2.0/24"]),
            new_key(Kind.LIVE).plaintext,
            NEVER_WAS,
        ],
    }


if __name__ == "__main__":
    json.dump(keys(), sys.stdout)
