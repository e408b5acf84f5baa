"""What the people of a client are told: that money runs out, that a key has used up its cap.

Noticed by one look at all wallets and all caps. Each occasion has a name, by which nobody is told twice.
"""

import logging
from dataclasses import dataclass
from datetime import date
from functools import partial
from smtplib import SMTPException
from typing import Any

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.labels import shown
from billing.event_letters import one_line
from billing.figures import roubles
from billing.mailing import REFUSED, mail
from billing.models import Alert, AlertKind, EventKind
from billing.money import Micro, as_roubles
from billing.readers import Readers, readers_of, unwanted
from billing.snapshot import alone
from billing.telling import News, tell_but_by_mail

log = logging.getLogger(__name__)

TOLD_AS = {
    AlertKind.LOW_BALANCE: EventKind.LOW_BALANCE,
    AlertKind.CAP_80: EventKind.CAP_NEAR,
    AlertKind.CAP_100: EventKind.CAP_REACHED,
}

# Occasions that nobody has been told of. What could not be mailed for a day never will be.
UNTOLD = """
NOT EXISTS (
    SELECT 1 FROM billing_alert a
    WHERE a.subject = noticed.subject AND (a.sent_at IS NOT NULL OR a.created_at < now() - interval '1 day')
)
"""

# Wallets that have less than they want to have: an occasion for each last time that something came in.
LOW_BALANCES = """
SELECT * FROM (
    SELECT 'low_balance client ' || w.client_id || ' transfer ' || max(t.id) AS subject,
        'low_balance' AS kind, w.client_id, c.name, '' AS key, w.balance AS amount, w.alert_below AS bound,
        NULL::date AS first_day
    FROM billing_account w
    JOIN accounts_client c ON c.id = w.client_id AND c.is_active
    JOIN billing_transfer t ON t.credit_id = w.id AND t.code IN ('top_up', 'promo', 'correction')
    WHERE w.alert_below > 0 AND w.balance < w.alert_below
    GROUP BY w.id, c.id
) AS noticed WHERE <untold>
""".replace("<untold>", UNTOLD)

# Keys that work and have spent most of their cap, or all of it: an occasion for each period and amount, since
# whoever raises a cap wants to hear of its end, too.
SPENT_CAPS = """
SELECT subject, kind, client_id, name, key, amount, bound, first_day FROM (
    SELECT kind || ' key ' || key_id || ' of ' || bound || coalesce(' since ' || first_day, '') AS subject,
        spent.*
    FROM (
        -- Used up is also a cap of which nothing is left that anybody's request could do with.
        SELECT CASE WHEN used.amount >= cap.amount OR billing_moscow_day(cap.refused_at) >= period.first_day
            THEN 'cap_100' ELSE 'cap_80' END AS kind,
            k.id AS key_id, k.client_id, c.name, k.prefix || '… ' || k.label AS key,
            used.amount, cap.amount AS bound, nullif(period.first_day, '-infinity') AS first_day
        FROM billing_cap cap
        JOIN accounts_apikey k ON k.id = cap.key_id AND k.disabled_at IS NULL
            AND coalesce(k.expires_at > now(), true)
        JOIN accounts_client c ON c.id = k.client_id AND c.is_active
        CROSS JOIN LATERAL billing_period(cap.reset, billing_moscow_day(now())) AS period (first_day)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(d.cost), 0)::bigint AS amount FROM billing_keyday d
            WHERE d.key_id = k.id AND d.day >= period.first_day
        ) AS used
        WHERE cap.amount > 0 AND used.amount * 100.0 >= cap.amount * 80.0
    ) AS spent
) AS noticed WHERE <untold>
""".replace("<untold>", UNTOLD)


@dataclass(frozen=True, slots=True)
class Occasion:
    """``amount`` is what a wallet has left or a key has spent; ``bound`` what it is measured against."""

    subject: str
    kind: AlertKind
    client_id: int
    client: str
    key: str  # its beginning and label
    amount: Micro
    bound: Micro
    first_day: date | None  # of the cap's period


def send_alerts() -> int:
    """Tell whom it concerns what nobody has been told yet; how many occasions that were."""
    with alone("alerts") as is_alone:
        return _tell(_noticed()) if is_alone else 0


def _noticed() -> list[Occasion]:
    with connection.cursor() as cursor:
        found: list[Occasion] = []
        for look in (LOW_BALANCES, SPENT_CAPS):
            cursor.execute(look)
            found += [Occasion(*row) for row in cursor.fetchall()]
    return found


def _tell(occasions: list[Occasion]) -> int:
    """Written down first, then mailed, then marked: who dies in between tells one twice, none never."""
    if not occasions:
        return 0
    # Of a label that fills the column something has to go, since the key's beginning comes with it.
    told = [
        Alert(kind=o.kind, client_id=o.client_id, subject=o.subject, key_label=one_line(o.key)[:100])
        for o in occasions
    ]
    with transaction.atomic():
        Alert.objects.bulk_create(told, ignore_conflicts=True)
        tell_but_by_mail(News(o.client_id, TOLD_AS[o.kind], o.subject, facts(o)) for o in occasions)
    clients = {occasion.client_id for occasion in occasions}
    readers, silent = readers_of(clients), unwanted(clients)
    count = 0
    try:
        with get_connection() as post:
            for occasion in occasions:
                is_silent = (occasion.client_id, TOLD_AS[occasion.kind]) in silent
                if _is_dealt_with(occasion, {} if is_silent else readers[occasion.client_id], post):
                    Alert.objects.filter(subject=occasion.subject).update(sent_at=now())
                    count += 1
    except (SMTPException, OSError) as exc:
        waiting = len(occasions) - count
        log.error("no mail can be sent", extra={"waiting": waiting, "error": type(exc).__name__})  # noqa: TRY400
    return count


def _is_dealt_with(occasion: Occasion, readers: Readers, post: BaseEmailBackend) -> bool:
    """False if the mail of this occasion is not taken; the next minute tries again. Raises if none is."""
    try:
        mail(readers, partial(letter, occasion), post)
    except REFUSED as exc:
        log.error(  # noqa: TRY400 - a traceback would show addresses
            "an alert was not sent", extra={"subject": occasion.subject, "error": type(exc).__name__}
        )
        return False
    return True


def facts(occasion: Occasion) -> dict[str, Any]:
    """The same for programs."""
    amounts = {"amount": as_roubles(occasion.amount), "bound": as_roubles(occasion.bound), "currency": "RUB"}
    if occasion.kind == AlertKind.LOW_BALANCE:
        return amounts
    since = occasion.first_day.isoformat() if occasion.first_day else None
    return {"key": one_line(occasion.key), "since": since, **amounts}


def letter(occasion: Occasion) -> tuple[str, str]:
    """Subject and text. What people have named themselves is in the text only, and there on one line."""
    beginning, between, label = one_line(occasion.key).partition("… ")
    told = {
        "client": one_line(occasion.client),
        "key": f"{beginning}{between}{shown(label)}",
        "period": _("с %s") % f"{occasion.first_day:%d.%m.%Y}" if occasion.first_day else _("за всё время"),
        "amount": roubles(occasion.amount),
        "bound": roubles(occasion.bound),
    }
    subject, *lines = LETTERS[AlertKind(occasion.kind)]
    return f"XRouter: {_(subject)}", "\n".join(line and _(line) % told for line in lines) + "\n"


SPENT = gettext_noop("Ключ «%(key)s» клиента «%(client)s» %(period)s израсходовал %(amount)s из %(bound)s.")
# The subject, then the lines.
LETTERS = {
    AlertKind.LOW_BALANCE: (
        gettext_noop("на балансе мало средств"),
        gettext_noop("На балансе клиента «%(client)s» осталось %(amount)s, это меньше %(bound)s."),
        gettext_noop("Когда средства закончатся, запросы будут отклоняться с кодом 402."),
        "",
        gettext_noop("Следующее такое письмо — не раньше, чем на баланс что-нибудь поступит."),
    ),
    AlertKind.CAP_80: (
        gettext_noop("израсходовано 80 % предела ключа"),
        SPENT,
        gettext_noop("Когда предел будет исчерпан, запросы с этим ключом будут отклоняться."),
    ),
    AlertKind.CAP_100: (
        gettext_noop("предел ключа исчерпан"),
        SPENT,
        gettext_noop(
            "Запросы с этим ключом отклоняются, пока не начнётся новый период или предел не будет поднят."
        ),
    ),
}
