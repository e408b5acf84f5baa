"""Fills a new database: the catalogue from a file, access to providers from the environment.

What is missing is made; what exists belongs to the operator and is left alone. Two exceptions, because they
are told anew at each start: a provider variable that is set wins over the database, and so does the address
of the twins.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection, models, transaction

from billing.models import Rate, Tariff
from billing.money import Micro, roubles
from providers.environment import Access, Environment, access_to, url_in
from providers.models import Credential, Provider
from providers.vault import VaultError
from routing.models import Alias, Endpoint, Model

CATALOGUE = Path(__file__).with_name("catalogue.toml")

Table = Mapping[str, Any]

# Label of the credentials that this program makes and may change.
FROM_ENVIRONMENT = "из переменных окружения"
# A twin answers whoever asks.
TWIN_SLOTS = 1000
# What distinguishes a tariff of ours with the vendor from the customers'.
OWN = "-own"
# Two installations' starts at once take turns: number of a PostgreSQL advisory lock, arbitrary.
LOCK = 7_700_001


@transaction.atomic
def bootstrap(environment: Environment, file: Path = CATALOGUE) -> str:
    """Make and update everything, or nothing; the summary for people.

    Raises ImproperlyConfigured with one sentence on the variable or the line of the file that is wrong.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    catalogue = read_catalogue(file)
    made: Counter[str] = Counter()
    for slug, table in catalogue["providers"].items():
        _provider(slug, table, environment, made)
    for slug, table in catalogue["tariffs"].items():
        _tariff(slug, table, catalogue["rates_since"], made)
    for slug, table in catalogue["models"].items():
        _model(slug, table, catalogue["families"][slug.partition("/")[0]], made)
    return _summary(made)


def read_catalogue(file: Path = CATALOGUE) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as exc:
        raise ImproperlyConfigured(f"{file.name}: {exc}") from exc


# --- Providers ---------------------------------------------------------------------------------


def _provider(slug: str, table: Table, environment: Environment, made: Counter[str]) -> None:
    access = access_to(slug, environment)
    provider = _ensure(
        Provider,
        made,
        {"slug": slug},
        **_pick(table, "name", "adapter", "base_url", "auth_url", "options"),
    )
    _refresh(provider, access)
    if access.secret is not None:
        _credential(provider, access.secret, table["slots"])
    twins = url_in(environment, "XROUTER_TWIN_URL")
    if twins:
        _twin(provider, table["twin"], twins, made)


def _refresh(provider: Provider, access: Access) -> None:
    told = {name: value for name in ("base_url", "auth_url", "ca_bundle") if (value := getattr(access, name))}
    _change(provider, **told, options={**provider.options, **access.options})


def _credential(provider: Provider, secret: Mapping[str, Any], slots: int) -> None:
    mine = {"provider": provider, "label": FROM_ENVIRONMENT}
    credential = Credential.objects.filter(**mine).first() or Credential(**mine, slots=slots)
    if credential.pk is None or credential.awaits_secret or not _holds(credential, secret):
        credential.seal(secret)
        credential.save()


def _holds(credential: Credential, secret: Mapping[str, Any]) -> bool:
    try:
        return credential.open() == secret
    except VaultError:  # the vault's key was lost: the variable brings the secret back
        return False


def _twin(provider: Provider, table: Table, twins: str, made: Counter[str]) -> None:
    """The stand-in of ``provider`` below the address ``twins``."""
    auth_path = table.get("auth_path")
    addresses = {
        "base_url": twins + table["base_path"],
        "auth_url": twins + auth_path if auth_path else "",
    }
    twin = _ensure(
        Provider,
        made,
        {"slug": f"{provider.slug}-twin"},
        name=f"{provider.name} (двойник)",
        adapter=provider.adapter,
        options={**provider.options, **table.get("options", {})},
        twin_of=provider,
        **addresses,
    )
    _change(twin, **addresses)
    _credential(twin, table["secret"], TWIN_SLOTS)


def _change(row: models.Model, **values: Any) -> None:
    """Save what differs; an unchanged row announces nothing to the workers."""
    different = {name: value for name, value in values.items() if getattr(row, name) != value}
    if different:
        for name, value in different.items():
            setattr(row, name, value)
        row.save(update_fields=list(different))


# --- Prices and models -------------------------------------------------------------------------


def _tariff(slug: str, table: Table, since: Any, made: Counter[str]) -> None:
    if Tariff.objects.filter(slug=slug).exists():
        return
    tariff = _ensure(Tariff, made, {"slug": slug}, name=table["name"])
    prices = {name: _per_million(price) for name, price in table.items() if name not in {"name", "own"}}
    _ensure(Rate, made, {"tariff": tariff, "starts_at": since}, **prices)
    if table.get("own"):
        own = {**table, "name": f"{table['name']}: себестоимость", "own": False}
        _tariff(f"{slug}{OWN}", own, since, made)


def _per_million(price: str) -> Micro:
    """Roubles for 1,000 tokens, as people quote prices, in micro-roubles for 1,000,000."""
    return roubles(price) * 1000


def _model(slug: str, table: Table, family: Table, made: Counter[str]) -> None:
    fields = {**family, **table}
    common, endpoints, aliases = fields.pop("endpoint"), fields.pop("endpoints"), fields.pop("aliases", [])
    tariff = fields["tariff"]
    fields["tariff"] = Tariff.objects.get(slug=tariff)
    model = _ensure(Model, made, {"slug": slug}, **fields)
    own_tariff = Tariff.objects.filter(slug=f"{tariff}{OWN}").first()
    for endpoint in endpoints:
        _endpoint(model, {**common, "own_tariff": own_tariff, **endpoint}, made)
    for name in aliases:
        if not Alias.objects.filter(name__iexact=name).exists():
            _ensure(Alias, made, {"name": name}, model=model)


def _endpoint(model: Model, table: Table, made: Counter[str]) -> None:
    provider = Provider.objects.get(slug=table["provider"])
    key = {"model": model, "provider": provider, "upstream_name": table["upstream_name"]}
    _ensure(Endpoint, made, key, **{name: table[name] for name in table.keys() - key.keys()})


def _ensure(kind: type[models.Model], made: Counter[str], key: Table, /, **fields: Any) -> Any:
    """The row that ``key`` names: as it is, or made with ``fields`` after the checks a form would make."""
    row = kind._default_manager.filter(**key).first()
    if row is not None:
        return row
    row = kind(**key, **fields)
    try:
        row.full_clean()
    except ValidationError as exc:
        raise ImproperlyConfigured(f"{CATALOGUE.name}: {row}: {'; '.join(exc.messages)}") from exc
    row.save()
    made[kind.__name__] += 1
    return row


def _pick(table: Table, *names: str) -> dict[str, Any]:
    return {name: table[name] for name in names if name in table}


# --- The summary -------------------------------------------------------------------------------


def _summary(made: Counter[str]) -> str:
    words = {Model: "моделей", Endpoint: "исполнителей", Alias: "других имён", Tariff: "тарифов"}
    rows = ", ".join(f"{word} {made[kind.__name__]}" for kind, word in words.items() if made[kind.__name__])
    lines = [f"Каталог: создано {rows}." if rows else "Каталог: всё уже есть."]
    providers = Provider.objects.filter(twin_of=None).prefetch_related("credentials")
    lines += [f"{provider.name}: {_state(provider)}." for provider in providers]
    return "\n".join(lines)


def _state(provider: Provider) -> str:
    if any(credential.is_enabled for credential in provider.credentials.all()):
        return f"доступ есть, {provider.base_url}"
    if Provider.objects.filter(twin_of=provider).exists():
        return "доступа нет, отвечает двойник"
    return "доступа нет"
