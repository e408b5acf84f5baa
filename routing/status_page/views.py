"""The page of the state, the same as JSON, and the feed of incidents. Nobody has to sign in.

Nothing here asks who is looking: a session lies in the database, which may be what is slow.
"""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import gettext, override

from routing.status_page import facts
from routing.status_page.bars import bars
from routing.status_page.events import Event
from routing.status_page.facts import Facts, Part
from routing.status_page.lights import WORDS, Light

# Seconds that caches between may keep what programs read.
FRESH = int(facts.KEPT)


def page(request: HttpRequest) -> HttpResponse:
    known = facts.latest.facts()
    context: dict[str, Any] = {"user": AnonymousUser(), "looking": None, "days": facts.DAYS}
    if known is not None:
        parts = [(part, WORDS[part.light], bars(part)) for part in known.providers]
        api = (known.api, _headline(known), bars(known.api))
        context |= {"known": known, "api": api, "parts": parts, "words": WORDS}
    return render(request, "routing/status/page.html", context)


HEADLINES = {
    Light.OPERATIONAL: lambda: gettext("Всё работает"),
    Light.SLOW: lambda: gettext("Всё работает, но медленнее обычного"),
    Light.DEGRADED: lambda: gettext("Часть провайдеров отвечает не на все запросы"),
    Light.DOWN: lambda: gettext("Ни один провайдер не отвечает"),
    Light.UNKNOWN: lambda: gettext("Данных пока нет"),
}


def _headline(known: Facts) -> str:
    if known.api.light is not Light.UNKNOWN or not known.working:
        return HEADLINES[known.api.light]()
    said = gettext("Работает провайдеров: %(working)d из %(all)d, об остальных данных пока нет")
    return said % {"working": known.working, "all": len(known.providers)}


def machine(request: HttpRequest) -> HttpResponse:
    """The same for programs; 503 while nothing is known."""
    known = facts.latest.facts()
    if known is None:
        return JsonResponse({"updated_at": None}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer = JsonResponse(_as_json(known), json_dumps_params={"ensure_ascii": False})
    answer["Cache-Control"] = f"public, max-age={FRESH}"
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


def feed(request: HttpRequest) -> HttpResponse:
    """Incidents as Atom, in Russian as the API."""
    known = facts.latest.facts()
    if known is None:
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
    address = request.build_absolute_uri(reverse("status"))
    with override("ru"):
        made = Atom1Feed("XRouter: сбои", address, None, language="ru", feed_url=request.build_absolute_uri())
        for event in known.events:
            _enter(made, event, address)
        answer = HttpResponse(made.writeString("utf-8"), content_type="application/atom+xml; charset=utf-8")
    answer["Cache-Control"] = f"public, max-age={FRESH}"
    return answer


def _enter(made: Atom1Feed, event: Event, address: str) -> None:
    told = [gettext("Сбой закончился.")] if not event.is_open else []
    made.add_item(
        event.title,
        f"{address}#incident-{event.number}",
        "\n\n".join([*told, *(word.text for word in event.words)]) or event.title,
        pubdate=event.opened_at,
        updateddate=event.changed_at,
        unique_id=f"{address}#incident-{event.number}",
    )


def _as_json(known: Facts) -> dict[str, Any]:
    with override("ru"):
        return {
            "updated_at": known.at,
            "is_old": known.is_old,
            "api": _part_as_json(known.api),
            "providers": {part.slug: _provider_as_json(part) for part in known.providers},
            "incidents": [_event_as_json(event) for event in known.events],
        }


def _part_as_json(part: Part) -> dict[str, Any]:
    uptime = part.minutes.uptime
    return {
        "state": part.light,
        "uptime_90d": None if uptime is None else round(uptime, 5),
        "since": part.since,
        "minutes_known": part.minutes.known,
        "is_gathering": part.is_gathering,
        "days": [
            {
                "date": day.date,
                "minutes_operational": day.minutes.operational,
                "minutes_degraded": day.minutes.degraded,
                "minutes_down": day.minutes.down,
            }
            for day in part.days
            if day.minutes.known
        ],
    }


def _provider_as_json(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "status": part.condition,
        "latency": part.latency,
        "last_updated": part.updated_at,
        "is_simulated": part.is_simulated,
        **_part_as_json(part),
        "models": {
            each.model: {
                "state": each.light,
                "latency": each.latency,
                "duration_24h": None if each.p50 is None else {"p50": each.p50, "p95": each.p95},
            }
            for each in part.models
        },
    }


def _event_as_json(event: Event) -> dict[str, Any]:
    return {
        "id": event.number,
        "provider": event.provider or None,
        "title": event.title,
        "opened_at": event.opened_at,
        "closed_at": event.closed_at,
        "messages": [
            {
                "at": word.at,
                "title": word.titles[0],
                "title_en": word.titles[1],
                "text": word.texts[0],
                "text_en": word.texts[1],
            }
            for word in event.words
        ],
    }
