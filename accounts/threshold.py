"""Who gets as far as the operators' portal: from where, and how long after he was last there."""

import time
from datetime import timedelta
from ipaddress import ip_network

from allauth.account.internal.flows.login import get_authentication_records
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
    """Whether this session's last page of the portal, or its log-in, is too long ago."""
    seen = request.session.get(LAST_SEEN) or _logged_in_at(request)
    return time.time() - seen > LONGEST_PAUSE.total_seconds()


def note_presence(request: HttpRequest) -> None:
    """Somebody is in the portal now: noted from a session's first page on, so that each has its own note."""
    now = int(time.time())
    if now - request.session.get(LAST_SEEN, 0) > NOTED_EVERY:
        request.session[LAST_SEEN] = now


def _logged_in_at(request: HttpRequest) -> float:
    """Of this session, which allauth keeps; of one that was begun otherwise, the person's last log-in."""
    if records := get_authentication_records(request, request.user):
        return max(record["at"] for record in records)
    moment = getattr(request.user, "last_login", None)
    return moment.timestamp() if moment else 0.0
