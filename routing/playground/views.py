"""The playground: a person talks to models from the dashboard, out of the client's own wallet.

His requests go the way of all others, from the desk on; who he is is told by his session instead of a key.
"""

import logging
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import close_old_connections, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import visits
from accounts.callers import caller_with
from accounts.models import ApiKey, Client, Membership
from accounts.playground import key_for, key_of
from accounts.views import PrivateView
from billing.key_pages import KEEPERS
from billing.ledger import wallet_of
from billing.money import as_number
from monitoring.logs import report_bug
from providers.vault import VaultError
from routing import plane
from routing.desk import OPEN
from routing.errors import UnknownGeneration
from routing.listing import Listing, ModelSerializer, listings_of
from routing.models import Model
from routing.playground import shelf
from routing.playground.code import programs
from routing.playground.models import Conversation
from routing.playground.words import words
from routing.rest import arrival_of, response_of
from routing.statements import record

log = logging.getLogger(__name__)

# Models side by side.
COLUMNS = 4
# Bytes of a request that is written as code: half a second of computing, where it is all brackets.
LONGEST_PROGRAM = 1 << 17
# Of a model the page knows these.
KNOWN = ("id", "name", "provider", "pricing", "supported_parameters", "supported_features")
# Headers for programs of other sites; this address is for our own page.
FOR_OTHERS = [name for name in OPEN if name.startswith("access-control-")]

NOT_JSON = _("Тело запроса — не объект JSON.")


class NotAsked(Exception):
    """What the page sent cannot be read. The text is a sentence."""


class PlaygroundView(PrivateView):
    """Pages below one client's playground. Who may make keys may spend here; accountants look."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except (NotAsked, shelf.NotKept) as exc:
            return JsonResponse({"message": str(exc)}, status=HTTPStatus.BAD_REQUEST)
        except VaultError as exc:
            report_bug(log, exc)
            return JsonResponse({"message": str(shelf.UNREADABLE)}, status=HTTPStatus.INTERNAL_SERVER_ERROR)

    def member(self, client: Client) -> Membership | None:
        """The person in the client; None for an operator who only looks."""
        if visits.current(self.request):
            return None
        return client.memberships.filter(user=self.request.user).first()

    def spender(self, pk: int) -> tuple[Client, Membership]:
        """The client whose money is to be spent, and by whom. Raises Http404, PermissionDenied."""
        client = self.client(pk)
        member = self.member(client)
        if member is None or member.role not in KEEPERS:
            raise PermissionDenied
        return client, member

    def said(self) -> dict[str, Any]:
        """The object that the page sent. Raises NotAsked."""
        try:
            told = orjson.loads(self.request.body)
        except (ValueError, RequestDataTooBig) as exc:
            raise NotAsked(NOT_JSON) from exc
        if not isinstance(told, dict):
            raise NotAsked(NOT_JSON)
        return told


class AnyPlayground(PlaygroundView):
    """The playground of the first client in which the person may spend, else of his first client."""

    def get(self, request: HttpRequest) -> HttpResponse:
        clients = self.clients.filter(is_active=True)
        mine = clients.filter(memberships__user=request.user, memberships__role__in=KEEPERS)
        found = mine.first() or clients.first() or self.clients.first()
        if found is None:
            return render(request, "billing/no_client.html")
        asked = {"model": request.GET.getlist("model")}
        return redirect(f"{reverse('playground', args=[found.pk])}?{urlencode(asked, doseq=True)}")


class Playground(PlaygroundView):
    """The page itself. All that happens on it is the scripts' work."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        member = self.member(client)
        key = key_of(client, member.user) if member else None
        context = {
            "client": client,
            "clients": self.clients,
            "may_spend": bool(member and member.role in KEEPERS),
            "stopped": key if key and not key.works() else None,
            "is_looking": member is None,
            "wallet": wallet_of(client),
            "most": COLUMNS,
            "room": shelf.ROOM,
            "told": {
                "models": _models(client, key),
                "chosen": request.GET.getlist("model")[:COLUMNS],
                "columns": COLUMNS,
                "addresses": _addresses(client),
                "words": words(),
            },
        }
        return render(request, "routing/playground/page.html", context)


class Chat(PlaygroundView):
    """A chat as ``/v1/chat/completions`` takes it, by session instead of by key."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        client, member = self.spender(pk)
        key = key_for(client, member.user)
        if not key.works():
            raise PermissionDenied
        arrival = arrival_of(request, caller_with(key))
        if not connection.in_atomic_block:  # in somebody's transaction it is not ours to close
            close_old_connections()  # none is held while a provider thinks
        response = response_of(async_to_sync(plane.current().desk.chat)(arrival))
        for name in FOR_OTHERS:
            del response.headers[name]
        return response


class Answer(PlaygroundView):
    """What an answer has cost whose end the page has not seen."""

    def get(self, request: HttpRequest, pk: int, generation: UUID) -> HttpResponse:
        client = self.client(pk)
        try:
            row = record(client.pk, generation.hex).row
        except UnknownGeneration as exc:
            raise Http404 from exc
        told = {name: getattr(row, name) for name in ("status", "model", "provider")}
        tokens = {name: getattr(row, name) for name in ("tokens_prompt", "tokens_completion")}
        return JsonResponse({**told, **tokens, "cost": as_number(row.cost)})


class Code(PlaygroundView):
    """A request as a program, in several languages. Nobody is asked."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        self.client(pk)
        if len(request.body) > LONGEST_PROGRAM:
            raise NotAsked(_("Разговор слишком длинный, чтобы показать его как код."))
        try:
            told = programs(request.build_absolute_uri("/v1"), self.said())
        except RecursionError as exc:
            raise NotAsked(NOT_JSON) from exc
        return JsonResponse({"programs": [snippet._asdict() for snippet in told]})


class Conversations(PlaygroundView):
    """The person's own conversations with this client's models: all, a new one, none any more."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        member = self.member(self.client(pk))
        kept = shelf.titles(member) if member else []
        told = [{"id": each.id, "title": each.title, "changed_at": each.changed_at} for each in kept]
        return JsonResponse({"conversations": told})

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        _client, member = self.spender(pk)
        return JsonResponse({"id": shelf.add(member, *_conversation(self.said()))})

    def delete(self, request: HttpRequest, pk: int) -> HttpResponse:
        member = self.member(self.client(pk))
        Conversation.objects.filter(member=member).delete()
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class KeptConversation(PlaygroundView):
    """One of them: read, changed, deleted."""

    def get(self, request: HttpRequest, pk: int, number: UUID) -> HttpResponse:
        title, body = shelf.opened(self._mine(pk, number))
        return JsonResponse({"id": number, "title": title, "body": body})

    @transaction.atomic
    def post(self, request: HttpRequest, pk: int, number: UUID) -> HttpResponse:
        self.spender(pk)
        mine, told = self._mine(pk, number, is_locked=True), self.said()
        title, body = _conversation(told) if "body" in told else (_title(told), None)
        shelf.change(mine, title, body)
        return JsonResponse({"id": number})

    def delete(self, request: HttpRequest, pk: int, number: UUID) -> HttpResponse:
        self._mine(pk, number).delete()
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    def _mine(self, pk: int, number: UUID, *, is_locked: bool = False) -> Conversation:
        """Raises Http404, also for somebody else's of the same client."""
        rows = Conversation.objects.filter(member=self.member(self.client(pk)))
        found: Conversation = get_object_or_404(rows.select_for_update() if is_locked else rows, pk=number)
        return found


def _conversation(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    body = told.get("body")
    if not isinstance(body, dict):
        raise NotAsked(NOT_JSON)
    return _title(told), body


def _title(told: dict[str, Any]) -> str:
    title = told.get("title")
    if not isinstance(title, str):
        raise NotAsked(gettext("Назовите разговор."))
    return title


def _models(client: Client, key: ApiKey | None) -> list[dict[str, Any]]:
    """What the client may ask, as far as the person's key may."""
    shown = listings_of(Model.objects.shown_to(client.plan, client.pk).prefetch_related("aliases"))
    allowed = {name.lower() for name in key.allowed_models} if key else set()
    chats = [each for each in shown if not each.embeds]
    return [_known(each) for each in chats if not allowed or not allowed.isdisjoint(_names(each))]


def _names(listing: Listing) -> set[str]:
    aliases = listing.model.aliases.all() if listing.model.pk else ()
    return {listing.model.slug.lower(), *(alias.name.lower() for alias in aliases)}


def _known(listing: Listing) -> dict[str, Any]:
    told = ModelSerializer(listing).data
    return {**{name: told[name] for name in KNOWN}, "name": gettext(told["name"])}


def _addresses(client: Client) -> dict[str, str]:
    """Where the page's scripts ask. Of one thing among many the address ends with its number."""
    names = {"chat": "chat", "code": "code", "conversations": "conversations"}
    told = {name: reverse(f"playground-{place}", args=[client.pk]) for name, place in names.items()}
    return {
        **told,
        "answers": f"{reverse('playground', args=[client.pk])}answers/",
        "generations": reverse("usage-generations", args=[client.pk]),
        "billing": reverse("billing", args=[client.pk]),
        "login": f"{reverse('login')}?{urlencode({'next': reverse('playground', args=[client.pk])})}",
    }
