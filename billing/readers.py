"""Which of a client's people get its letters, and in which language.

Whom the client has chosen; else owners, admins and accountants.
"""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import QuerySet

from accounts.language import language_of
from accounts.models import Membership, Role
from billing.models import Channel, ChannelKind, EventKind

USUAL = (Role.OWNER, Role.ADMIN, Role.ACCOUNTANT)


# Addresses by the language that is read there.
Readers = dict[str, list[str]]


def readers_of(clients: Iterable[int]) -> dict[int, Readers]:
    """By client. Whoever is no member any more, or may not sign in, gets nothing."""
    members = Membership.objects.filter(client_id__in=list(clients), user__is_active=True)
    chosen = _addresses(members.filter(channels__kind=ChannelKind.MAIL))
    usual = _addresses(members.filter(role__in=USUAL))
    return defaultdict(dict, {**usual, **chosen})


def unwanted(clients: Iterable[int]) -> set[tuple[int, str]]:
    """Client and kind of event, where somebody has said that no letter is wanted."""
    rows = Channel.objects.filter(client_id__in=list(clients), kind=ChannelKind.MAIL)
    return {
        (channel.client_id, kind)
        for channel in rows
        for kind in EventKind
        if kind not in channel.events or channel.disabled_at
    }


def _addresses(members: QuerySet[Membership]) -> dict[int, Readers]:
    found: dict[int, Readers] = {}
    for member in members.select_related("user").order_by("user__email"):
        readers = found.setdefault(member.client_id, {})
        readers.setdefault(language_of(member.user), []).append(member.user.email)
    return found
