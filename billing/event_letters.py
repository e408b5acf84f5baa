"""Events as letters. What people have named themselves is in the text only, and there on one line."""

from typing import Any

from accounts.models import Role
from billing.figures import roubles
from billing.models import Event, EventKind
from billing.money import roubles as micro

END = "\n\nКому и о чём приходят письма — в кабинете, раздел «Оповещения».\n"


def letter(event: Event) -> tuple[str, str]:
    """Subject and text, in Russian."""
    client, facts = one_line(event.client.name), event.facts
    subject, text = LETTERS[EventKind(event.kind)](client, facts)
    return f"XRouter: {subject}", text + END


def _key_created(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    by = f", его создал {one_line(facts['created_by'])}" if facts.get("created_by") else ""
    key = f"{facts['prefix']}… {one_line(facts['label'])}"
    return "создан новый ключ", (
        f"У клиента «{client}» новый API-ключ «{key}»{by}.\n"
        "Если это сделали не вы, отключите его в кабинете, раздел «API-ключи»."
    )


def _member_joined(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    role = Role(facts["role"]).label if facts["role"] in Role.values else facts["role"]
    return "новый участник", f"В организации «{client}» новый участник: {one_line(facts['email'])}, {role}."


def _invoice_paid(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    amount = roubles(micro(facts["amount"]))
    return "счёт оплачен", (
        f"Платёж по заявке № {facts['number']} клиента «{client}» получен: {amount} на балансе."
    )


def _invoice_refused(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    amount = roubles(micro(facts["amount"]))
    why = one_line(facts.get("reason", ""))
    return "в счёте отказано", (
        f"По заявке № {facts['number']} клиента «{client}» на {amount} счёта не будет.\nПричина: {why}"
    )


def _webhook_off(client: str, facts: dict[str, Any]) -> tuple[str, str]:
    return "вебхук отключён", (
        f"Вебхук клиента «{client}» {one_line(facts['url'])} не принял столько сообщений подряд: "
        f"{facts['failures']}. Он отключён.\n"
        "Когда исправите его, включите снова в кабинете, раздел «Оповещения»."
    )


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


LETTERS = {
    EventKind.KEY_CREATED: _key_created,
    EventKind.MEMBER_JOINED: _member_joined,
    EventKind.INVOICE_PAID: _invoice_paid,
    EventKind.INVOICE_REFUSED: _invoice_refused,
    EventKind.WEBHOOK_OFF: _webhook_off,
}
