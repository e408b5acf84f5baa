"""Plain functions that make rows with sensible defaults, and the cast.

Alice owns the client Romashka, Bob works there; Eve belongs to another client and gets 404 everywhere.
"""

import re
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission
from django.test import Client as Browser
from django.utils import timezone

from accounts.keys import Kind
from accounts.models import ApiKey, Client, Membership, Plan, Role, User
from billing import ledger
from billing.models import Account, AccountKind, Generation, GenerationStatus, Rate, Tariff
from billing.money import roubles
from providers.models import Credential, Provider
from routing.models import Alias, Endpoint, Feature, Model

_numbers = count(1)


def alice() -> User:
    return _member("alice@romashka.example", "Алиса", "Ромашка", Role.OWNER)


def bob() -> User:
    return _member("bob@romashka.example", "Боб", "Ромашка", Role.DEVELOPER)


def eve() -> User:
    return _member("eve@lopukh.example", "Ева", "Лопух", Role.OWNER)


def romashka() -> Client:
    """The client of Alice and Bob."""
    return alice().clients.get()


def operators_browser() -> Browser:
    """A browser in which an operator who may do anything is logged in."""
    browser = Browser()
    browser.force_login(User.objects.create_superuser("operator@xrouter.example"))
    return browser


def cells(html: str, field: str) -> list[str]:
    """The texts that a list of the portal shows in the column ``field``."""
    found = re.findall(rf'<t[dh] class="[^"]*\bfield-{field}\b[^"]*"[^>]*>(.*?)</t[dh]>', html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in found]


def clerks_browser(*permissions: str) -> Browser:
    """A browser of an operator who may do what ``permissions`` say and nothing else."""
    clerk = make_user(is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Browser()
    browser.force_login(clerk)
    return browser


def make_user(email: str = "", *, password: str | None = None, **fields: Any) -> User:
    return User.objects.create_user(email or f"user{next(_numbers)}@example.test", password, **fields)


def make_client(name: str = "", *, plan: Plan = Plan.PAID, balance: str = "0", **fields: Any) -> Client:
    """``balance``: roubles that a payment has put into the wallet."""
    client = Client.objects.create(name=name or f"Клиент {next(_numbers)}", plan=plan, **fields)
    if roubles(balance):
        ledger.top_up(client, roubles(balance), cause=f"test payment {next(_numbers)}")
    return client


def open_our_accounts() -> None:
    """The accounts that a migration opens, for a test whose database was emptied before it."""
    ours = [Account(kind=kind) for kind in AccountKind if kind != AccountKind.WALLET]
    Account.objects.bulk_create(ours, ignore_conflicts=True)


def make_key(
    client: Client | None = None, label: str = "сервер", kind: Kind = Kind.LIVE, **fields: Any
) -> tuple[ApiKey, str]:
    """The row and the plaintext."""
    return ApiKey.objects.issue(client or make_client(), label, kind, **fields)


def make_provider(slug: str = "", *, adapter: str = "openai", **fields: Any) -> Provider:
    """Without a credential: see ``make_credential``."""
    slug = slug or f"provider-{next(_numbers)}"
    fields.setdefault("base_url", f"https://{slug}.example/v1")
    return Provider.objects.create(slug=slug, adapter=adapter, **{"name": slug, **fields})


def make_twin(provider: Provider, base_url: str = "http://127.0.0.1:9100/v1", **fields: Any) -> Provider:
    fields.setdefault("adapter", provider.adapter)
    return make_provider(f"{provider.slug}-twin", base_url=base_url, twin_of=provider, **fields)


def make_credential(provider: Provider, secret: dict[str, Any] | None = None, **fields: Any) -> Credential:
    fields.setdefault("label", f"доступ {next(_numbers)}")
    credential = Credential(provider=provider, **fields)
    credential.seal({"api_key": "test-secret"} if secret is None else secret)
    credential.save()
    return credential


def make_tariff(prompt: str = "500", completion: str = "500", **rate: Any) -> Tariff:
    """A tariff in force since yesterday; prices in roubles for a million tokens."""
    number = next(_numbers)
    tariff = Tariff.objects.create(slug=f"tariff-{number}", name=f"Тариф {number}")
    rate.setdefault("starts_at", timezone.now() - timedelta(days=1))
    Rate.objects.create(tariff=tariff, prompt=roubles(prompt), completion=roubles(completion), **rate)
    return tariff


def make_model(
    slug: str = "", *, aliases: tuple[str, ...] = (), tariff: Tariff | None = None, **fields: Any
) -> Model:
    """Without an endpoint: see ``make_endpoint``."""
    slug = slug or f"family/model-{next(_numbers)}"
    defaults = {
        "name": slug,
        "provider_name": slug.partition("/")[0],
        "context_length": 32_768,
        "max_output": 8_192,
    }
    model = Model.objects.create(slug=slug, tariff=tariff or make_tariff(), **{**defaults, **fields})
    for name in aliases:
        Alias.objects.create(model=model, name=name)
    return model


def make_endpoint(model: Model | None = None, provider: Provider | None = None, **fields: Any) -> Endpoint:
    fields.setdefault("upstream_name", f"upstream-{next(_numbers)}")
    fields.setdefault("features", [Feature.STREAMING, Feature.JSON_OBJECT, Feature.JSON_SCHEMA])
    return Endpoint.objects.create(
        model=model or make_model(), provider=provider or make_provider(), **fields
    )


def make_generation(owner: Client | None = None, **fields: Any) -> Generation:
    """The record of an answer that GigaChat gave just now."""
    defaults = {
        "id": uuid4(),
        "created_at": timezone.now(),
        "request_id": f"req_{next(_numbers)}",
        "model_requested": "gigachat/pro",
        "model": "gigachat/pro",
        "provider": "gigachat",
        "status": GenerationStatus.OK,
    }
    return Generation.objects.create(client=owner or make_client(), **{**defaults, **fields})


def _member(email: str, name: str, client: str, role: Role) -> User:
    user = User.objects.filter(email=email).first() or make_user(email, name=name)
    home, _ = Client.objects.get_or_create(name=client, defaults={"plan": Plan.PAID})
    Membership.objects.get_or_create(user=user, client=home, defaults={"role": role})
    return user
