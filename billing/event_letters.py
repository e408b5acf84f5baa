"""Events as letters, in the language that is on.

What people have named themselves is in the text only, and there on one line.
"""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.labels import shown
from accounts.models import Role
from billing.figures import roubles
from billing.models import Event, EventKind
from billing.money import roubles as micro

END = gettext_noop("Кому и о чём приходят письма — в кабинете, раздел «Оповещения».")


def letter(event: Event) -> tuple[str, str]:
    """Subject and text."""
    client, facts = one_line(event.client.name), event.facts
    subject, text = LETTERS[EventKind(event.kind)](client, facts)
    return f"XRouter: {subject}", f"{text}\n\n{_(END)}\n"


def _key_created(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    told = {
        "client": client,
        "key": f"{facts['prefix']}… {one_line(shown(facts['label']))}",
        "by": one_line(facts.get("created_by") or ""),
    }
    by_whom = _("У клиента «%(client)s» новый API-ключ «%(key)s», его создал %(by)s.")
    made = by_whom if told["by"] else _("У клиента «%(client)s» новый API-ключ «%(key)s».")
    warned = _("Если это сделали не вы, отключите его в кабинете, раздел «API-ключи».")
    return _("создан новый ключ"), f"{made % told}\n{warned}"


def _member_joined(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    role = Role(facts["role"]).label if facts["role"] in Role.values else facts["role"]
    told = {"client": client, "email": one_line(facts["email"]), "role": role}
    return _("новый участник"), _("В организации «%(client)s» новый участник: %(email)s, %(role)s.") % told


def _invoice_paid(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    told = {"client": client, "number": facts["number"], "amount": roubles(micro(facts["amount"]))}
    paid = _("Платёж по заявке № %(number)s клиента «%(client)s» получен: %(amount)s на балансе.")
    return _("счёт оплачен"), paid % told


def _invoice_refused(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    told = {"client": client, "number": facts["number"], "amount": roubles(micro(facts["amount"]))}
    refused = _("По заявке № %(number)s клиента «%(client)s» на %(amount)s счёта не будет.") % told
    why = _("Причина: %s") % one_line(facts.get("reason", ""))
    return _("в счёте отказано"), f"{refused}\n{why}"


def _webhook_off(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    told = {"client": client, "url": one_line(facts["url"]), "failures": facts["failures"]}
    off = _(
        "Вебхук клиента «%(client)s» %(url)s не принял столько сообщений подряд: %(failures)s. Он отключён."
    )
    advised = _("Когда исправите его, включите снова в кабинете, раздел «Оповещения».")
    return _("вебхук отключён"), f"{off % told}\n{advised}"


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


LETTERS = {
    EventKind.KEY_CREATED: _key_created,
    EventKind.MEMBER_JOINED: _member_joined,
    EventKind.INVOICE_PAID: _invoice_paid,
    EventKind.INVOICE_REFUSED: _invoice_refused,
    EventKind.WEBHOOK_OFF: _webhook_off,
}
