"""Whether the books are right: what ``billing/invariants.py`` counts, from one snapshot, told and kept."""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now
from django.utils import timezone

from billing.invariants import CHECKS, SAYS, SUMS
from billing.models import Audit
from billing.money import as_roubles
from billing.snapshot import alone, one_snapshot

log = logging.getLogger(__name__)

# Differences that are named, of each invariant.
EXAMPLES = 5
KEPT = timedelta(days=90)
# Two beats tell everybody twice; an audit younger than this is young enough.
RECENT = timedelta(minutes=4)
# All of history is looked at every time while that takes no longer than this (seconds), and then once a day.
BEARABLE = 10


def audit(since: datetime | None = None) -> dict[str, Any]:
    """The report. ``since``: history before that Moscow day is left out; balances are always whole."""
    started = time.monotonic()
    day = since and timezone.localtime(since).replace(hour=0, minute=0, second=0, microsecond=0)
    with one_snapshot() as cursor:
        cursor.execute("SELECT now()")
        at = timezone.localtime(cursor.fetchone()[0])
        checks, facts = _checked(cursor, day)
        cursor.execute(SUMS)
        sums = {kind: as_roubles(amount) for kind, amount in cursor.fetchall()}
    holds, expired = facts["holds"], facts["expired"]
    return {
        "clean": not any(check["differences"] for check in checks.values()),
        "at": at.isoformat(),
        "since": day and day.isoformat(),
        "seconds": round(time.monotonic() - started, 3),
        "checks": checks,
        "sums": sums,
        "holds": {
            "open": holds[0],
            "amount": as_roubles(holds[1]),
            "oldest_seconds": facts["oldest_hold"][0],
        },
        "expired": {"count": expired[0], "held": as_roubles(expired[1])},
        "overrun": {"count": facts["overruns"][0], "amount": as_roubles(facts["overruns"][1])},
        "estimated": facts["estimated"][0],
    }


def watch() -> Audit | None:
    """Audit and keep the report; None if somebody else does or just has."""
    with alone("audit") as is_alone:
        if not is_alone or Audit.objects.filter(at__gt=Now() - RECENT).exists():
            return None
        report = audit(_since())
        at = datetime.fromisoformat(report["at"])
        kept = Audit.objects.create(at=at, is_clean=report["clean"], report=report, seconds=report["seconds"])
        Audit.objects.filter(is_clean=True, at__lt=Now() - KEPT).delete()
    if not kept.is_clean:
        log.error("the books do not balance", extra={"audit": kept.pk, "differences": differences(report)})
    return kept


def differences(report: dict[str, Any]) -> dict[str, list[str]]:
    """The invariants that are broken, and examples of where."""
    return {name: check["examples"] for name, check in report["checks"].items() if check["differences"]}


def _since() -> datetime | None:
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    last = Audit.objects.filter(report__since=None).first()
    must_be_whole = last is None or last.at < today or last.seconds <= BEARABLE
    return None if must_be_whole else today - timedelta(days=1)


def _checked(
    cursor: CursorWrapper, day: datetime | None
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[int, int]]]:
    checks: dict[str, dict[str, Any]] = {
        name: {"says": says, "checked": 0, "differences": 0, "noted": 0, "examples": []}
        for name, says in SAYS.items()
    }
    facts: dict[str, tuple[int, int]] = {}
    for statement in CHECKS:
        cursor.execute(statement, {"since": day or "-infinity"})
        for name, counted, broken, noted, examples in cursor.fetchall():
            if name not in checks:
                facts[name] = int(counted), int(noted)
                continue
            check = checks[name]
            check["checked"] += int(counted)
            check["differences"] += int(broken)
            check["noted"] += int(noted)
            check["examples"] = [*check["examples"], *(examples or [])][:EXAMPLES]
    return checks, facts
