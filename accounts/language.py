"""In which language people read: what they choose for pages is kept with them, for letters."""

from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views import i18n

from accounts.people import User

COOKIE = settings.LANGUAGE_COOKIE_NAME
KNOWN = frozenset(code for code, _name in settings.LANGUAGES)


def language_of(person: User | None) -> str:
    """What ``person`` has chosen, else Russian."""
    return person.language if person and person.language in KNOWN else settings.LANGUAGE_CODE


def language_for(person: User | None, request: HttpRequest) -> str:
    """The same of who has chosen nothing yet, but is looking at a page: the page's."""
    if person and person.language in KNOWN:
        return language_of(person)
    is_another = request.user.is_authenticated and request.user != person
    return settings.LANGUAGE_CODE if is_another else shown()


def shown() -> str:
    """The language of the page that is being shown."""
    language = get_language()
    return language if language in KNOWN else settings.LANGUAGE_CODE


def keep(person: User, language: str) -> None:
    if language in KNOWN and person.language != language:
        User.objects.filter(pk=person.pk).update(language=language)
        person.language = language


def bring(request: HttpRequest, response: HttpResponse, person: User) -> None:
    """At sign-in: what was chosen in this browser is kept; where nothing was, he reads what he once chose."""
    if chosen := request.COOKIES.get(COOKIE):
        keep(person, chosen)
    elif person.language in KNOWN:
        response.set_cookie(COOKIE, person.language, **_kept_as())


def set_language(request: HttpRequest) -> HttpResponse:
    """Django's view, which remembers in the browser; of who is signed in, his account remembers, too."""
    response: HttpResponse = i18n.set_language(request)
    # Pages that do without the database change their language without it.
    with suppress(DatabaseError):
        if COOKIE in response.cookies and request.user.is_authenticated:
            keep(request.user, response.cookies[COOKIE].value)
    return response


def _kept_as() -> dict[str, object]:
    return {
        "max_age": settings.LANGUAGE_COOKIE_AGE,
        "path": settings.LANGUAGE_COOKIE_PATH,
        "domain": settings.LANGUAGE_COOKIE_DOMAIN,
        "secure": settings.LANGUAGE_COOKIE_SECURE,
        "httponly": settings.LANGUAGE_COOKIE_HTTPONLY,
        "samesite": settings.LANGUAGE_COOKIE_SAMESITE,
    }
