"""``{% announcements %}``: what operators tell whoever looks at this page."""

import logging
from typing import Any

from django import template
from django.db import DatabaseError

from accounts.notices import Announcement

log = logging.getLogger(__name__)
register = template.Library()


@register.inclusion_tag("accounts/announcements.html", takes_context=True)
def announcements(context: template.Context) -> dict[str, Any]:
    user = context.get("user")
    try:
        shown = list(Announcement.objects.shown(is_signed_in=bool(user and user.is_authenticated)))
    except DatabaseError as exc:
        # Pages that need no database stay up without one: a guide is worth more than what is told above it.
        log.warning("announcements are not shown", extra={"error": type(exc).__name__})
        shown = []
    return {"announcements": shown}
