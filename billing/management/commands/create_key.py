"""``manage.py create_key``: an API key for a client, new or known, with money in its wallet.

It lives here and not in ``accounts``, which knows nothing of money.
"""

import json
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.keys import Kind
from accounts.models import ApiKey, Client, Plan
from billing import ledger
from billing.money import Micro, as_roubles, roubles


class Command(BaseCommand):
    help = "Создать API-ключ; клиент создаётся, если его нет. Ключ показывается один раз."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--client", required=True, metavar="NAME", help="название клиента")
        parser.add_argument("--label", required=True, metavar="L", help="для чего этот ключ")
        parser.add_argument("--plan", choices=Plan.values, help="тариф доступа; у нового клиента free")
        parser.add_argument("--balance", default="0", metavar="ROUBLES", help="на сколько пополнить кошелёк")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--test", action="store_true", help="тестовый ключ: отвечают двойники")
        kind.add_argument(
            "--management", action="store_true", help="управляющий: для /v1/keys, не для моделей"
        )
        parser.add_argument("--json", action="store_true", help="ответить одним объектом JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = Kind.TEST if options["test"] else Kind.MANAGEMENT if options["management"] else Kind.LIVE
        amount = _amount(options["balance"])
        try:
            client, api_key, plaintext = _create(
                options["client"], options["label"], kind, options["plan"], amount
            )
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        made = {
            "key": plaintext,
            "prefix": api_key.prefix,
            "client": client.name,
            "plan": client.plan,
            "balance": as_roubles(ledger.wallet_of(client).balance),
            "kind": api_key.kind,
        }
        self.stdout.write(json.dumps(made, ensure_ascii=False) if options["json"] else _told(made))


def _amount(text: str) -> Micro:
    try:
        amount = roubles(text)
    except ValueError as exc:
        raise CommandError(f"--balance: {exc}") from exc
    if amount < 0:
        raise CommandError("--balance: списать деньги так нельзя.")
    return amount


@transaction.atomic
def _create(name: str, label: str, kind: Kind, plan: str | None, amount: Micro) -> tuple[Client, ApiKey, str]:
    client = _client(name, plan)
    if amount:
        ledger.top_up(
            client, amount, cause=f"create_key {uuid4()}", note="При создании ключа", by="create_key"
        )
    return client, *ApiKey.objects.issue(client, label, kind)


def _client(name: str, plan: str | None) -> Client:
    client = Client.objects.filter(name=name).first() or Client(name=name)
    client.plan = plan or client.plan
    client.full_clean()
    client.save()
    return client


def _told(made: dict[str, str]) -> str:
    return (
        f"Ключ:    {made['key']}\n"
        f"Клиент:  {made['client']} (тариф {made['plan']}, на счёте {made['balance']} ₽)\n"
        "Сохраните ключ: посмотреть его второй раз нельзя."
    )
