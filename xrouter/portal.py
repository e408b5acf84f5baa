"""The operators' portal: which site it is, what its pages may do in a browser."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

View = Callable[..., HttpResponse]

# The pages that staff may have to pass before the portal opens, and what they are told there.
ASKED_FOR = {
    "mfa_activate_totp": _("Портал открывается тем, у кого есть второй фактор: подключите его."),
    "mfa_reauthenticate": _("Портал открывается после второго фактора: введите код."),
}

# Unfold's Alpine evaluates what stands in attributes, and colours are a style in the page.
LOOSER = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}


class Portal(UnfoldAdminSite):
    site_header = site_title = "XRouter"
    index_title = _("Портал оператора")
    index_template = "routing/desk/start.html"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return csp_update(LOOSER)(super().admin_view(_behind_second_factor(view), cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one way in, whatever is sent here: the one that asks for the second factor."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))


def _behind_second_factor(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        from accounts.second_factor import owed_page  # noqa: PLC0415 - the site is there before models are

        owed = owed_page(request)
        if owed is None:
            return view(request, *args, **kwargs)
        messages.warning(request, ASKED_FOR[owed])
        return redirect_to_login(request.get_full_path(), reverse(owed))

    return guarded
