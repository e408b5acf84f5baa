"""Who may do what in the operators' portal: five roles, each a group of Django's with what this table says.

Rows of apps above are named here as text. What a role has beyond the table is taken from it whenever the
installation is brought up to date; groups that operators made themselves are left alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

READ = "view"
WRITE = "view add change"
ALL = "view add change delete"

# "app.codename", as Django asks for it.
CHANGE_ROLES = "accounts.change_roles"


@dataclass(frozen=True)
class StaffRole:
    title: Any
    told: Any
    # "app.model" -> what may be done with its rows.
    rows: Mapping[str, str] = field(default_factory=dict)
    # Permissions that are no view, add, change or delete: "app.codename".
    special: tuple[str, ...] = ()
    is_everything: bool = False

    def codenames(self) -> set[str]:
        """All that the table names, as "app.codename"."""
        named = set(self.special)
        for label, actions in self.rows.items():
            app, _dot, model = label.partition(".")
            named |= {f"{app}.{action}_{model}" for action in actions.split()}
        return named


_CATALOGUE = ("routing.model", "routing.endpoint", "routing.alias", "billing.tariff", "billing.rate")
_VENDORS = ("providers.provider", "providers.credential")
_USE = ("billing.generation", "billing.keyday", "billing.cap", "billing.hold", "billing.alert")
_TOLD = ("billing.channel", "billing.event", "billing.delivery")
_BOOKS = (
    *("billing.account", "billing.transfer", "billing.payment", "billing.proposal"),
    *("billing.promocode", "billing.promobatch", "billing.audit", "billing.invoice"),
)
_HEALTH = (
    *("monitoring.probe", "monitoring.balance", "monitoring.symptom"),
    *("monitoring.incident", "monitoring.note", "monitoring.bulletin"),
)
_MACHINERY = ("routing.catalogueversion", "billing.samplingmedian", "billing.shift")
_WORDS = ("accounts.announcement", "accounts.switch")
# Pages whose rows leave the installation as a file.
_EXPORTED = (
    *("account", "transfer", "payment", "hold", "keyday", "alert"),
    *("audit", "generation", "proposal", "promocode", "invoice"),
)

ROLES: dict[str, StaffRole] = {
    "viewer": StaffRole(
        _("Наблюдатель"),
        _("Видит всё, кроме людей, журнала и содержания запросов; ничего не меняет и не выгружает."),
        dict.fromkeys(
            (
                *("accounts.client", "accounts.apikey", "accounts.visit"),
                *(*_CATALOGUE, *_VENDORS, *_USE, *_TOLD, *_BOOKS, *_HEALTH, *_MACHINERY, *_WORDS),
            ),
            READ,
        ),
    ),
    "support": StaffRole(
        _("Поддержка"),
        _("Клиенты, их люди, ключи и генерации. Счетов, платежей и нашей себестоимости не видит."),
        {
            "accounts.client": "view change",
            "accounts.user": "view change",
            "accounts.membership": ALL,
            "accounts.apikey": "view change",
            **dict.fromkeys(("billing.generation", "billing.keyday", "billing.cap"), READ),
            **dict.fromkeys(("routing.model", "routing.alias", "accounts.announcement"), READ),
            **dict.fromkeys((*_HEALTH, *_TOLD, "providers.provider", "accounts.visit"), READ),
            "accounts.consent": READ,
            "accounts.invitation": "view delete",
            **dict.fromkeys(("monitoring.incident", "monitoring.bulletin"), WRITE),
        },
        ("accounts.block_client", "accounts.view_as_client", "providers.test_provider"),
    ),
    "billing": StaffRole(
        _("Бухгалтерия"),
        _("Счета, платежи, исправления, возвраты, промокоды, тарифы и сверки."),
        {
            **dict.fromkeys(("accounts.client", "accounts.apikey", "routing.model"), READ),
            **dict.fromkeys((*_USE, *_TOLD, *_BOOKS, *_HEALTH, "billing.promotry", "accounts.visit"), READ),
            "billing.account": "view change",
            "billing.payment": "view add",
            "billing.promocode": WRITE,
            "billing.promobatch": WRITE,
            "billing.tariff": ALL,
            "billing.rate": ALL,
        },
        (
            *("billing.correct_balance", "billing.refund_generation", "billing.confirm_movement"),
            "billing.confirm_invoice",
            *(f"billing.export_{each}" for each in _EXPORTED),
            "accounts.export_client",
        ),
    ),
    "operator": StaffRole(
        _("Оператор"),
        _(
            "Провайдеры и доступы к ним, модели, исполнители, цены, объявления и переключатели;"
            " содержание запросов, если клиент попросил его хранить."
        ),
        {
            **dict.fromkeys(("accounts.client", "accounts.apikey", "accounts.visit"), READ),
            **dict.fromkeys(("billing.generation", "billing.keyday", "billing.hold", *_MACHINERY), READ),
            **dict.fromkeys(_HEALTH, READ),
            **dict.fromkeys(("monitoring.incident", "monitoring.bulletin"), WRITE),
            **dict.fromkeys((*_CATALOGUE, *_VENDORS, "accounts.announcement"), ALL),
            "accounts.switch": "view change",
        },
        (
            *("accounts.block_client", "accounts.view_as_client", "accounts.rotate_apikey"),
            *("providers.test_provider", "providers.switch_provider"),
            # Support asks an operator: who talks to a client all day reads nobody's prompts.
            *("accounts.keep_content", "routing.view_content"),
        ),
    ),
    "owner": StaffRole(_("Владелец"), _("Всё, в том числе сотрудники, роли и журнал."), is_everything=True),
}


def title(name: str) -> str:
    """A group as operators read it: theirs by its name, ours by what the role is called."""
    return str(ROLES[name].title) if name in ROLES else name


def told(name: str) -> str:
    """What a role is for; of groups that operators made nothing is known."""
    return str(ROLES[name].told) if name in ROLES else ""


def establish() -> None:
    """Make the groups, and give each what the table says, no more and no less."""
    for name, role in ROLES.items():
        group, _made = Group.objects.get_or_create(name=name)
        group.permissions.set(Permission.objects.all() if role.is_everything else named(role.codenames()))


def named(codenames: Iterable[str]) -> QuerySet[Permission]:
    """The permissions called "app.codename". One that does not exist is passed over."""
    wanted = Q(pk=None)
    for each in codenames:
        app, _dot, codename = each.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.filter(wanted)


# --- Who may raise whom ----------------------------------------------------------------------------


def may_change_roles(operator: Any) -> bool:
    return operator.has_perm(CHANGE_ROLES)


def rights_of(person: Any) -> set[int]:
    """Numbers of the permissions that a person has, or would have once active again."""
    theirs = Q(user=person) | Q(group__user=person)
    return set(Permission.objects.filter(theirs).values_list("pk", flat=True))


def has_no_more(person: Any, operator: Any) -> bool:
    """Whether ``person`` may do nothing that ``operator`` may not: only such people does he change.

    Otherwise he would give himself the password of one who may do more.
    """
    if operator.is_superuser or person == operator:
        return True
    return not person.is_superuser and rights_of(person) <= rights_of(operator)


def beyond(permissions: Iterable[Permission], operator: Any) -> bool:
    """Whether ``operator`` would give away what he does not have."""
    return not operator.is_superuser and not {each.pk for each in permissions} <= rights_of(operator)
