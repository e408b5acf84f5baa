"""How clients and keys are found by what an operator types or pastes into the one search box."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from accounts.keys import PREFIX_LENGTH
from accounts.models import ApiKey, Client, Membership

KEYS_BEGIN = "xr-"


def clients_like(term: str) -> Q:
    """Clients by the beginning of a key, a member's mail, an ИНН, or any part of the name.

    Each look-up goes by an index or over the clients alone; none multiplies rows.
    """
    if term.startswith(KEYS_BEGIN):
        return Q(pk__in=ApiKey.objects.filter(prefix__startswith=term).order_by().values("client_id"))
    people = Membership.objects.filter(user__email__startswith=term.lower())
    of_people = Q(pk__in=people.values("client_id"))
    return of_people if "@" in term else of_people | Q(name__icontains=term) | Q(inn__startswith=term)


def keys_like(term: str) -> Q:
    """Keys by their beginning, or by any part of their label or of the client's name."""
    if term.startswith(KEYS_BEGIN):
        return Q(prefix__startswith=term)
    named = Client.objects.filter(name__icontains=term).order_by()
    return Q(label__icontains=term) | Q(client_id__in=named.values("pk"))


class FindsByKey(ModelAdmin):
    """An admin whose search box takes the beginning of a key, and keeps whole keys out of addresses."""

    show_full_result_count = False
    like: ClassVar[Callable[[str], Q]]  # the rows that a term is about

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()[:200]
        return (queryset.filter(self.like(term)) if term else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        term = request.GET.get("q", "").strip()
        if term.startswith(KEYS_BEGIN) and len(term) > PREFIX_LENGTH:
            said = _(
                "Ключ целиком вводить не нужно: поиск идёт по его началу. Если это чужой ключ, замените его."
            )
            self.message_user(request, said, messages.WARNING)
            asked = request.GET.copy()
            asked["q"] = term[:PREFIX_LENGTH]
            return redirect(f"{request.path}?{asked.urlencode()}")
        return super().changelist_view(request, extra_context)
