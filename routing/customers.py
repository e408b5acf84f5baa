"""Pages of a customer's generations: what ``GET /v1/generation`` tells of one, and what all might have cost.

Here and not in ``billing``, which knows of no attempts and no choice.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import Client
from accounts.views import PrivateView
from routing import cheaper
from routing.errors import UnknownGeneration
from routing.statements import KINDS, Record, record

# Days that can be looked at, and seconds for which what was worked out is kept.
PERIODS = (7, 30)
KEPT = 300


class GenerationPage(PrivateView):
    """One request: how it ended, what it cost and how that came about."""

    def get(self, request: HttpRequest, pk: int, generation: UUID) -> HttpResponse:
        client = self.client(pk)
        try:
            told = record(client.pk, generation.hex)
        except UnknownGeneration as exc:
            raise Http404 from exc
        details = told.cost_details
        context = {
            "client": client,
            "told": told,
            "row": told.row,
            "lines": [{"title": KINDS[line.kind], "line": line} for line in details.lines] if details else [],
            "facts": list(_facts(told)),
        }
        return render(request, "routing/generation.html", context)


class Cheaper(PrivateView):
    """What requests would have cost, had the cheapest been chosen each time."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        days = next((each for each in PERIODS if request.GET.get("days") == str(each)), PERIODS[0])
        context = {
            "client": client,
            "days": days,
            "periods": PERIODS,
            "told": _compared(client, days),
            "newest": cheaper.NEWEST,
        }
        return render(request, "routing/cheaper.html", context)


def _compared(client: Client, days: int) -> cheaper.Comparison:
    """As it was worked out in the last minutes."""
    name = f"cheaper:{client.pk}:{days}"
    found: cheaper.Comparison | None = cache.get(name)
    if found is None:
        found = cheaper.compare(client, timezone.now(), days)
        cache.set(name, found, KEPT)
    return found


def _facts(told: Record) -> Iterator[tuple[str, Any]]:
    row = told.row
    yield _("Принята"), f"{timezone.localtime(row.created_at):%d.%m.%Y %H:%M:%S}"
    yield _("Ключ"), f"{row.key.title} ({row.key.prefix}…)" if row.key else ""
    yield _("Запрошенная модель"), row.model_requested
    yield _("Модель"), row.model
    yield _("Провайдер"), row.provider
    yield _("Ответ HTTP"), row.http_status
    yield _("Вид ошибки"), row.error_type
    yield _("Причина окончания"), row.finish_reason
    yield _("Потоком"), _answer(row.streamed)
    yield _("Тестовая"), _answer(row.is_test)
    yield _("Токены: запрос и ответ"), f"{row.tokens_prompt} + {row.tokens_completion}"
    yield _("Непереданные поля"), ", ".join(row.dropped_fields)
    yield _("Номер запроса"), row.request_id
    yield _("Ваш номер запроса"), row.client_request_id
    yield _("Сессия"), row.session_id
    yield _("Конечный пользователь"), row.user


def _answer(is_so: bool) -> str:
    return _("да") if is_so else pgettext("answer", "нет")
