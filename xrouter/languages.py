"""Which language is spoken where: pages the reader's, the API Russian to everybody."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from xrouter.views import API


class PagesLanguage(LocaleMiddleware):
    """Django's choice of a language, for pages. The API's replies depend on no header and no cookie."""

    def process_request(self, request: HttpRequest) -> None:
        """What forms say to the API's programs is in the language of this moment, too."""
        if not request.path_info.startswith(API):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        """A reply of the API names its language itself, where there is one."""
        return response if request.path_info.startswith(API) else super().process_response(request, response)
