"""The customers' pages: what a client has, which keys it holds and what they were used for.

Here and not in ``accounts``, which knows nothing of money.
"""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from accounts.models import Client
from accounts.views import PrivateView
from billing.ledger import wallet_of
from billing.models import Generation

GENERATIONS_PER_PAGE = 50


class Dashboard(PrivateView):
    """The first of the person's clients; a word to those who have none."""

    def get(self, request: HttpRequest) -> HttpResponse:
        first = self.clients.first()
        return redirect("client", first.pk) if first else render(request, "billing/no_client.html")


class ClientPage(PrivateView):
    """One client: wallet, keys, generations."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        generations, has_more = _page(client, request.GET.get("before"))
        context = {
            "client": client,
            "clients": self.clients,
            "wallet": wallet_of(client),
            "keys": client.keys.all(),
            "now": timezone.now(),
            "generations": generations,
            "is_newest": "before" not in request.GET,
            "has_more": has_more,
        }
        return render(request, "billing/client.html", context)


def _page(client: Client, before: str | None) -> tuple[list[Generation], bool]:
    """The newest generations older than ``before``, and whether there are more. Raises Http404."""
    rows = client.generations.select_related("key").order_by("-created_at", "-id")
    if before is not None:
        last = get_object_or_404(client.generations, pk=_uuid(before))
        # As a range and an exception, not as an alternative: so the index on (client, created_at) is used.
        rows = rows.filter(created_at__lte=last.created_at).exclude(
            created_at=last.created_at, id__gte=last.id
        )
    found = list(rows[: GENERATIONS_PER_PAGE + 1])
    return found[:GENERATIONS_PER_PAGE], len(found) > GENERATIONS_PER_PAGE


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise Http404 from exc
