"""Who gets as far as the operators' portal: from where, and how long after he was last there."""

import time
from datetime import timedelta
from ipaddress import ip_network

from django.conf import settings
from django.http import HttpRequest

from accounts.callers import is_within
from accounts.doorman import address_of

# Whoever has let the portal lie for longer logs in again.
LONGEST_PAUSE = timedelta(hours=12)
# Seconds between two notes of when he was there: not every page is worth a write.
NOTED_EVERY = 300
LAST_SEEN = "portal_seen_at"


def is_near(request: HttpRequest) -> bool:
    """Whether the portal exists for the address that asks: everywhere, unless networks are named."""
    networks = settings.XROUTER_STAFF_NETWORKS
    return not networks or is_within(address_of(request) or "", [ip_network(text) for text in networks])


def has_been_away(request: HttpRequest) -> bool:
    """Whether this session's last page of the portal, or its log-in, is too long ago. Notes this one."""
    now = int(time.time())
    seen = request.session.get(LAST_SEEN) or _logged_in_at(request)
    if now - seen > LONGEST_PAUSE.total_seconds():
        return True
    if now - seen > NOTED_EVERY:
        request.session[LAST_SEEN] = now
    return False


def _logged_in_at(request: HttpRequest) -> float:
    moment = getattr(request.user, "last_login", None)
    return moment.timestamp() if moment else 0.0
