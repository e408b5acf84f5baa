"""Audits of the books that might have been: like the one that was just made, of less and less history."""

from datetime import datetime, timedelta
from typing import Any

from billing.models import Audit
from billing.money import as_roubles, roubles

EVERY = timedelta(hours=6)
# Of each account's sum what is rounded away is made up for here: together they are nothing.
REST = "wallet"
HELD = "held"


def keep_audits(report: dict[str, Any], start: datetime) -> int:
    """Keep ``report``, a real one, and the invented ones before it since ``start``; how many."""
    now = datetime.fromisoformat(report["at"])
    moments = [start + EVERY * number for number in range(1, (now - start) // EVERY)]
    audits = [Audit(at=at, report=past_report(report, start, at)) for at in moments]
    audits.append(Audit(at=now, report=report))
    for each in audits:
        each.is_clean, each.seconds = each.report["clean"], each.report["seconds"]
    return len(Audit.objects.bulk_create(audits))


def past_report(report: dict[str, Any], start: datetime, at: datetime) -> dict[str, Any]:
    """What would have been reported at ``at``, had everything grown evenly since ``start``."""
    share = (at - start) / (datetime.fromisoformat(report["at"]) - start)
    checks = {
        name: {**check, "checked": int(check["checked"] * share)} for name, check in report["checks"].items()
    }
    return {
        **report,
        "at": at.isoformat(),
        "seconds": round(report["seconds"] * share, 3),
        "checks": checks,
        "sums": _sums(report["sums"], share),
        "holds": {"open": 0, "amount": "0", "oldest_seconds": 0},
        "expired": {**report["expired"], "count": int(report["expired"]["count"] * share)},
        "overrun": {**report["overrun"], "count": int(report["overrun"]["count"] * share)},
        "estimated": int(report["estimated"] * share),
    }


def _sums(now: dict[str, str], share: float) -> dict[str, str]:
    sums = {kind: int(roubles(amount) * share) for kind, amount in now.items() if kind != HELD}
    sums[REST] = sums.get(REST, 0) - sum(sums.values())
    return {kind: as_roubles(amount) for kind, amount in {**sums, HELD: 0}.items()}
