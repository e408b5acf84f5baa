"""Pages that belong to no app: the documentation, and what Django itself says when it refuses or fails."""

import sys

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import defaults
from drf_spectacular.views import SpectacularSwaggerSplitView

from routing.errors import BadRequest
from routing.views import call_of, refused

API = "/v1/"


# Swagger UI styles its elements one by one; scripts stay in files.
@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class Docs(SpectacularSwaggerSplitView):
    """The API's reference, to be read and tried."""

    url_name = "openapi"
    template_name = "xrouter/docs.html"
    title = "XRouter — API"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 where Django refuses a request before any view: a wrong host, a malformed form."""
    if request.path.startswith(API):
        return refused(BadRequest("Запрос не принят: проверьте имя сервера и заголовки."), call_of(request))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 where something beside the views failed."""
    if request.path.startswith(API):
        return refused(sys.exc_info()[1] or RuntimeError(), call_of(request))
    return defaults.server_error(request)
