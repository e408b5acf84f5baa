"""Pages that belong to no app: the documentation, and what Django itself says when it refuses or fails."""

import logging
import sys
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import redirect, render
from django.template import loader
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views import defaults
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

from monitoring.logs import report_bug
from routing.errors import BadRequest
from routing.rest import call_of, refused
from xrouter import guides

log = logging.getLogger(__name__)

API = "/v1/"


class Landing(TemplateView):
    """What a stranger sees first."""

    template_name = "xrouter/landing.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, may_sign_up=settings.XROUTER_SIGN_UP)


# Swagger UI styles its elements one by one; scripts stay in files.
@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class Docs(SpectacularSwaggerView):
    """The API's reference, to be read and tried."""

    url_name = "openapi"
    template_name = "xrouter/docs.html"


@method_decorator(csp_update({"style-src": ["'unsafe-inline'"], "worker-src": ["blob:"]}), name="dispatch")
class Redoc(SpectacularRedocView):
    """The same reference, to be read from top to bottom."""

    url_name = "openapi"
    template_name = "xrouter/redoc.html"


def guide(request: HttpRequest, language: str, name: str = guides.INDEX) -> HttpResponse:
    """A guide as a page, in the language of its address whatever the reader's is."""
    found = _found(language, name)
    with translation.override(language):
        html = found.html.replace(guides.EXAMPLE, _root(request))
        # The choice of a language leads to the same guide in that language.
        elsewhere = f"/docs/guides/{name}/" if name != guides.INDEX else "/docs/guides/"
        return render(request, "xrouter/guide.html", {"guide": found, "html": html, "same_page": elsewhere})


def guide_source(request: HttpRequest, language: str, name: str) -> HttpResponse:
    """A guide as it is written, for programs that read."""
    text = _found(language, name).markdown.replace(guides.EXAMPLE, _root(request))
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")


def guide_in_my_language(request: HttpRequest, name: str = guides.INDEX) -> HttpResponse:
    """To the same guide in the language that the reader has chosen."""
    found = _found(translation.get_language(), name)
    address = [found.language] if name == guides.INDEX else [found.language, name]
    return redirect("guide", *address)


def llms(request: HttpRequest) -> HttpResponse:
    """What programs that read should know of us, and where they find more: https://llmstxt.org."""
    titles = {"en": "Guides", "ru": "Guides in Russian"}
    sections = [
        {"language": language, "title": title, "entries": guides.entries(language)}
        for language, title in titles.items()
    ]
    told = {"root": _root(request), "sections": sections}
    return render(request, "xrouter/llms.txt", told, content_type="text/plain; charset=utf-8")


def _found(language: str, name: str) -> guides.Guide:
    if found := guides.find(language, name):
        return found
    raise Http404(name)


def _root(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 where Django refuses a request before any view: a wrong host, a malformed form."""
    if request.path.startswith(API):
        return refused(BadRequest("Запрос не принят: проверьте имя сервера и заголовки."), call_of(request))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 where something beside the views failed."""
    if request.path.startswith(API):
        return refused(sys.exc_info()[1] or RuntimeError(), call_of(request))
    number = call_of(request).request_id
    report_bug(log, sys.exc_info()[1] or RuntimeError(), request_id=number)
    # Without a request: what its context processors ask for may be what has failed.
    html = loader.render_to_string("500.html", {"number": number})
    return HttpResponseServerError(html, headers={"x-request-id": number})
