"""The portal's way around: its menu, and what Unfold is told. Read by the settings: it knows no model."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(name)


def _may_see(model: str) -> Callable[[HttpRequest], bool]:
    app, _dot, name = model.partition(".")
    return lambda request: (
        request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")
    )


def _page(title: Any, icon: str, model: str) -> dict[str, Any]:
    """The list of ``model`` ("app.name") in the menu, for those who may see it."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_see(model),
    }


def _tool(title: Any, icon: str, address: str, permission: str) -> dict[str, Any]:
    """A page that is no list, for those who have ``permission`` ("app.act_name")."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{address}"),
        "permission": lambda request: request.user.has_perm(permission),
    }


NAVIGATION = [
    {"items": [{"title": _("Сегодня"), "icon": "monitoring", "link": reverse_lazy("admin:index")}]},
    {
        "title": _("Клиенты"),
        "separator": True,
        "items": [
            _page(_("Клиенты"), "apartment", "accounts.client"),
            _page(_("Люди"), "group", "accounts.user"),
            _page(_("Приглашения"), "mail", "accounts.invitation"),
            _page(_("Согласия"), "task_alt", "accounts.consent"),
            _page(_("Ключи"), "key", "accounts.apikey"),
            _page(_("Просмотры"), "visibility", "accounts.visit"),
            _page(_("Пределы расходов"), "savings", "billing.cap"),
        ],
    },
    {
        "title": _("Каталог"),
        "separator": True,
        "items": [
            _page(_("Модели"), "neurology", "routing.model"),
            _page(_("Исполнители"), "lan", "routing.endpoint"),
            _page(_("Другие имена"), "label", "routing.alias"),
            _tool(_("Кого выбрали бы"), "alt_route", "routing_model_foresee", "routing.view_model"),
            _tool(
                _("Модели провайдеров"),
                "cloud_download",
                "routing_endpoint_providers",
                "routing.add_endpoint",
            ),
            _page(_("Тарифы"), "sell", "billing.tariff"),
            _page(_("Версии каталога"), "history", "routing.catalogueversion"),
        ],
    },
    {
        "title": _("Провайдеры"),
        "separator": True,
        "items": [
            _page(_("Провайдеры"), "dns", "providers.provider"),
            _page(_("Доступы"), "vpn_key", "providers.credential"),
            {
                **_page(_("Инциденты"), "crisis_alert", "monitoring.incident"),
                "badge": "monitoring.admin.open_incidents",
            },
            _page(_("Сообщения о сбоях"), "campaign", "monitoring.bulletin"),
            _page(_("Пробы"), "stethoscope", "monitoring.probe"),
        ],
    },
    {
        "title": _("Запросы"),
        "separator": True,
        "items": [
            _page(_("Генерации"), "receipt_long", "billing.generation"),
            _page(_("Дни ключей"), "calendar_month", "billing.keyday"),
            _page(_("Обычные параметры"), "tune", "billing.samplingmedian"),
        ],
    },
    {
        "title": _("Деньги"),
        "separator": True,
        "items": [
            _page(_("Счета"), "account_balance_wallet", "billing.account"),
            _page(_("Переводы"), "swap_horiz", "billing.transfer"),
            {
                **_page(_("Заявки на счёт"), "request_quote", "billing.invoice"),
                "badge": "billing.admin.invoices.open_badge",
            },
            _page(_("Платежи"), "payments", "billing.payment"),
            {
                **_page(_("На подпись"), "draw", "billing.proposal"),
                "badge": "billing.admin.proposals.waiting_badge",
            },
            _page(_("Резервы"), "hourglass_top", "billing.hold"),
            _page(_("Промокоды"), "redeem", "billing.promocode"),
            _page(_("Партии промокодов"), "confirmation_number", "billing.promobatch"),
            _page(_("Сверки"), "fact_check", "billing.audit"),
            _page(_("Предупреждения"), "notifications", "billing.alert"),
            _page(_("Каналы оповещений"), "webhook", "billing.channel"),
            _page(_("События"), "event_note", "billing.event"),
            _page(_("Доставки"), "outgoing_mail", "billing.delivery"),
        ],
    },
    {
        "title": _("Портал"),
        "separator": True,
        "items": [
            _page(_("Объявления"), "campaign", "accounts.announcement"),
            _page(_("Переключатели"), "toggle_on", "accounts.switch"),
            _page(_("Роли"), "badge", "auth.group"),
            _page(_("Журнал изменений"), "history_edu", "accounts.change"),
        ],
    },
]

UNFOLD = {
    "SITE_TITLE": "XRouter",
    "SITE_HEADER": "XRouter",
    "SITE_SUBHEADER": _("Портал оператора"),
    "SITE_SYMBOL": "alt_route",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("pages/favicon.svg")}],
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "STYLES": [_file("portal/portal.css")],
    "SCRIPTS": [_file("portal/portal.js")],
    "DASHBOARD_CALLBACK": "routing.admin.start.start_page",
    "SIDEBAR": {"show_search": True, "navigation": NAVIGATION},
}
