"""Steps of a client's page: what its requests say begins to be kept, is kept for longer, is kept no more."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts import contents
from accounts.admin.steps import ReasonForm, Step
from accounts.models import MOST_CONTENT_DAYS, USUAL_CONTENT_DAYS, Client
from accounts.moments import to_minute

PERMISSION = "accounts.keep_content"


class DaysForm(ReasonForm):
    days = forms.IntegerField(
        label=_("Сколько дней хранить"),
        min_value=1,
        max_value=MOST_CONTENT_DAYS,
        initial=USUAL_CONTENT_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("От 1 до 30. По истечении — удаляется без возможности восстановить."),
    )
    field_order = ["days", "reason"]


class Keep(Step):
    slug, title, icon = "keep-content", _("Хранить содержание запросов"), "inventory_2"
    permission, form = PERMISSION, DaysForm

    def objection(self, client: Client) -> Any:
        return _("Содержание запросов этого клиента уже хранится.") if client.keeps_content else ""

    def consequences(self, client: Client) -> list[Any]:
        return [
            _("Включайте, только если об этом попросил сам клиент."),
            _(
                "Не позже чем через секунду начнут сохраняться вопрос и ответ каждого запроса с любым ключом"
                " клиента: сообщения, инструменты, параметры, текст ответа — до 256 КБ вопроса и столько же"
                " ответа, в зашифрованном виде. То, что было раньше, не сохранено и не появится."
            ),
            _('Запрос с полем "store": false не сохраняется и тогда.'),
            _(
                "Увидеть содержание можно по одному запросу, на странице генерации: тем, у кого есть на это"
                " право, с указанием причины. Каждый просмотр остаётся в журнале."
            ),
        ]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, None]:
        contents.keep(client, typed["days"])
        messages.success(request, _("Содержание запросов сохраняется."))
        return gettext("Содержание запросов хранится, дней: %(days)s") % typed, None


class Days(Step):
    slug, title, icon = "content-days", _("Срок хранения содержания"), "schedule"
    permission, form = PERMISSION, DaysForm

    def objection(self, client: Client) -> Any:
        return "" if client.keeps_content else _("Содержание запросов этого клиента не хранится.")

    def consequences(self, client: Client) -> list[Any]:
        return [
            _(
                "Срок действует и для того, что уже сохранено: оказавшееся старше сразу перестаёт"
                " показываться и в течение нескольких минут удаляется."
            ),
            _("Сейчас: %(told)s.") % {"told": told(client)},
        ]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, None]:
        contents.keep(client, typed["days"])
        messages.success(request, _("Срок хранения изменён."))
        return gettext("Срок хранения содержания, дней: %(days)s") % typed, None


class Stop(Step):
    slug, title, icon = "stop-content", _("Не хранить содержание"), "delete_sweep"
    permission, hurts = PERMISSION, True

    def objection(self, client: Client) -> Any:
        return "" if client.keeps_content else _("Содержание запросов этого клиента не хранится.")

    def consequences(self, client: Client) -> list[Any]:
        return [
            _("Не позже чем через секунду новые запросы перестанут сохраняться."),
            _("Сохранённое сразу перестанет показываться кому бы то ни было."),
            _(
                "В течение нескольких минут оно будет удалено без возможности восстановить, даже если"
                " хранение тут же включить снова. Из резервных копий базы оно исчезнет вместе с ними."
            ),
            _("Сами записи о запросах — время, модель, токены, стоимость — останутся."),
        ]

    def take(self, request: HttpRequest, client: Client, typed: dict[str, Any]) -> tuple[Any, None]:
        contents.stop(client)
        messages.success(request, _("Содержание больше не хранится; сохранённое удаляется."))
        return gettext("Содержание запросов не хранится, сохранённое удаляется"), None


STEPS = [Keep(), Days(), Stop()]


def told(client: Client) -> Any:
    """Whether and for how long, in words."""
    if client.content_since is None:
        return _("не хранится")
    facts = {"since": to_minute(client.content_since), "days": client.content_days}
    return _("хранится с %(since)s, срок в днях: %(days)d") % facts
