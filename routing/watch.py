"""What is not well just now, over all apps: the facts from which incidents are made."""

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from billing.models import Audit
from monitoring.incidents import Finding
from monitoring.models import Balance, Kind
from monitoring.status import Condition
from providers.models import Provider
from routing import vendors
from routing.vendors import Standing

KINDS = {Condition.DOWN: Kind.DOWN, Condition.DEGRADED: Kind.DEGRADED}
BOOKS = "books"


@dataclass(frozen=True, slots=True)
class Findings:
    """``unknown``: causes of which nothing can be told, since Redis is away."""

    ill: list[Finding] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)


def findings() -> Findings:
    found = Findings()
    real = Provider.objects.filter(twin_of=None, is_enabled=True)
    for standing in vendors.standings(list(vendors.whole(real))).values():
        _look_at(standing, found)
    found.ill.extend(_low(balance) for balance in _balances() if balance.is_low)
    if (latest := Audit.objects.order_by("-at").first()) and not latest.is_clean:
        found.ill.append(_books())
    return found


def _look_at(standing: Standing, found: Findings) -> None:
    cause = f"provider:{standing.provider.pk}"
    if standing.shared.is_away:
        found.unknown.add(cause)
    elif standing.numbers and standing.state in KINDS:
        found.ill.append(_illness(standing, cause))


def _illness(standing: Standing, cause: str) -> Finding:
    kind, name = KINDS[Condition(standing.state)], standing.provider.name
    titles = {
        Kind.DOWN: _("%s не работает"),
        Kind.DEGRADED: _("%s: часть запросов не проходит"),
    }
    impacts = {
        Kind.DOWN: _(
            "Его модели отвечают через других исполнителей; где других нет, клиенты получают отказ."
        ),
        Kind.DEGRADED: _("Часть запросов идёт к другим исполнителям со второй попытки; ответы медленнее."),
    }
    return Finding(cause, kind, titles[kind] % name, impacts[kind], standing.provider.pk, name)


def _balances() -> list[Balance]:
    """Of credentials that are in use and really are a vendor's."""
    return list(
        Balance.objects.filter(
            credential__is_enabled=True,
            credential__awaits_secret=False,
            credential__provider__is_enabled=True,
            credential__provider__twin_of=None,
        ).select_related("credential__provider")
    )


def _low(balance: Balance) -> Finding:
    provider = balance.credential.provider
    title = _("%(provider)s: кончается предоплата по доступу «%(label)s»") % {
        "provider": provider.name,
        "label": balance.credential.label,
    }
    impact = _("Когда пакет кончится, провайдер перестанет отвечать по этому доступу.")
    return Finding(
        f"balance:{balance.credential_id}", Kind.BALANCE, title, impact, provider.pk, provider.name
    )


def _books() -> Finding:
    impact = _("Деньги клиентов посчитаны неверно, пока расхождение не объяснено: см. последнюю сверку.")
    return Finding(BOOKS, Kind.BOOKS, _("Сверка денег не сошлась"), impact)
