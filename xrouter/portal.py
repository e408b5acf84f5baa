"""The operators' portal: which site it is, what its pages may do in a browser."""

from collections.abc import Callable
from typing import Any

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

View = Callable[..., HttpResponse]

# Unfold's Alpine evaluates what stands in attributes, and colours are a style in the page.
LOOSER = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}


class Portal(UnfoldAdminSite):
    site_header = site_title = "XRouter"
    index_title = _("Портал оператора")
    index_template = "routing/desk/start.html"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return csp_update(LOOSER)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return csp_update(LOOSER)(super().login)(request, extra_context)
