"""Whether what a client's requests ask and are answered is kept, and for how long.

Kept only for a client that asked for it. What is kept, and where, is known in ``routing.contents``.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import MOST_CONTENT_DAYS, Client


def keep(client: Client, days: int) -> None:
    """From now on keep what the client's requests say, ``days`` each; where it is kept, change how long."""
    if not 1 <= days <= MOST_CONTENT_DAYS:
        raise ValueError(f"contents are kept from 1 to {MOST_CONTENT_DAYS} days")
    client.content_days = days
    client.content_since = client.content_since or timezone.now()
    client.save(update_fields=["content_days", "content_since"])


def stop(client: Client) -> None:
    """Keep nothing more; what is kept is shown to nobody from now on, and deleted within minutes.

    Not even if keeping begins again before that: it is of a time that the new consent is not about.
    """
    client.content_since = None
    client.save(update_fields=["content_since"])


def oldest(client: Client, now: datetime) -> datetime | None:
    """What began before this moment must not be kept any more; None: nothing must."""
    if client.content_since is None:
        return None
    return max(client.content_since, now - timedelta(days=client.content_days))
