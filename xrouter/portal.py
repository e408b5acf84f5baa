"""The operators' portal: which site it is, what its pages may do in a browser."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.apps import apps
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
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
        guarded = _after_no_pause(_behind_second_factor(_without_oddities(view)))
        return _for_the_near(csp_update(LOOSER)(super().admin_view(guarded, cacheable)))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one way in, whatever is sent here: the one that asks for the second factor."""
        _look_whether_near(request)
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # Before the addresses of each page's own history, which knows only what forms of the portal did.
        told = path("<slug:app>/<slug:model>/<path:object_id>/history/", self.admin_view(self.history))
        return [told, *super().get_urls()]

    def history(self, request: HttpRequest, app: str, model: str, object_id: str) -> HttpResponse:
        """What the journal has of one row, for whoever may see the row."""
        from accounts import changes  # noqa: PLC0415 - the site is there before models are

        try:
            rows = apps.get_model(app, model)
            page = self._registry[rows]
        except (LookupError, KeyError) as exc:
            raise Http404 from exc
        return page.history_view(request, object_id, changes.history_page(rows, unquote(object_id)))


def _without_oddities(view: View) -> View:
    """``view``, before which a query is refused that the lists would not survive."""

    @wraps(view)
    def polite(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        for name, values in request.GET.lists():
            # PostgreSQL has no text with a NUL in it, and Python no year beyond these once a zone is added.
            is_year = name.endswith("__year")
            if any("\0" in value or (is_year and not _is_year(value)) for value in values):
                raise BadRequest(name)
        return view(request, *args, **kwargs)

    return polite


def _is_year(text: str) -> bool:
    return text.isdecimal() and len(text) <= 4 and 1 <= int(text) < 9999


def _for_the_near(view: View) -> View:
    """``view``, which for everybody else is not there."""

    @wraps(view)
    def hidden(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _look_whether_near(request)
        return view(request, *args, **kwargs)

    return hidden


def _look_whether_near(request: HttpRequest) -> None:
    from accounts.threshold import is_near  # noqa: PLC0415 - the site is there before models are

    if not is_near(request):
        raise Http404


def _after_no_pause(view: View) -> View:
    @wraps(view)
    def awake(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        from accounts import threshold  # noqa: PLC0415 - the site is there before models are

        if threshold.has_been_away(request):
            logout(request)
            messages.warning(request, _("Вас давно не было в портале: войдите снова."))
            return redirect_to_login(request.get_full_path())
        threshold.note_presence(request)
        return view(request, *args, **kwargs)

    return awake


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
