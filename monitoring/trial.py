"""A provider asked by an operator, here and now: what was sent, what came, without secrets.

Runs in the thread of a page, by the transport of tasks, for LONGEST seconds at most.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from monitoring.advice import ADVICE
from monitoring.masking import Mask
from monitoring.models import Probe
from monitoring.probes import authorization, target
from providers.adapters import ADAPTERS
from providers.errors import DeadCredential, UpstreamError
from providers.models import Provider
from providers.transports import sync
from providers.upstreams import Login, Timeouts, Upstream
from providers.vault import VaultError
from providers.wire import Target, UpstreamRequest, UpstreamResponse

# Seconds that all of it may take, and that one answer may let us wait.
LONGEST, FIRST_BYTE = 20.0, 15.0
MODELS, CHAT = "models", "chat"
ASKED = "Ответь одним словом: работает?"


@dataclass(frozen=True, slots=True)
class Question:
    """``chat``: an answer of one token, or the vector of a word. Else the cheapest question there is."""

    is_chat: bool = False
    model: str = ""  # as the vendor calls it
    embeds: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # the endpoint's own
    features: frozenset[str] = frozenset()
    text: str = field(default=ASKED, repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, masked. ``status`` is None where none came."""

    method: str
    url: str
    sent_headers: list[tuple[str, str]]
    sent: str
    milliseconds: float
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """``kind``: the class of the error, "" where all went well. ``tokens``: of a chat's question, if told."""

    kind: str
    milliseconds: float
    exchanges: tuple[Exchange, ...]
    login: Login | None = None
    tokens: int | None = None

    @property
    def advice(self) -> Any:
        return ADVICE.get(self.kind, ADVICE["Broken"])


class _Wire:
    """The transport of one trial: in what time is left, and notes what passes."""

    def __init__(self, mask: Mask) -> None:
        self.exchanges: list[Exchange] = []
        self._mask = mask
        self._ends = time.monotonic() + LONGEST

    def send(self, request: UpstreamRequest, upstream: Upstream) -> UpstreamResponse:
        started = time.monotonic()
        response = None
        self._mask.learn(request.headers.get("Authorization", "").partition(" ")[2])
        try:
            response = sync.send(request, _hurried(upstream, self._ends - started))
            return response
        finally:
            self.exchanges.append(self._noted(request, response, (time.monotonic() - started) * 1000))

    def _noted(
        self, request: UpstreamRequest, response: UpstreamResponse | None, milliseconds: float
    ) -> Exchange:
        mask = self._mask
        asked = Exchange(
            request.method,
            mask.text(request.url),
            mask.headers(request.headers),
            mask.body(request.body),
            milliseconds,
        )
        if response is None:
            return asked
        headers, body = mask.headers(response.headers), mask.body(response.body)
        return replace(asked, status=response.status, headers=headers, body=body)


def attempt(provider: Provider, question: Question, *, credential_id: int | None = None) -> Trial:
    """Ask ``provider`` with that credential, or with its first. Blocks; raises nothing."""
    started, kind, login, tokens = time.monotonic(), "", None, None
    wire = _Wire(Mask())
    try:
        upstream = provider.upstream()
        login = _chosen(upstream, credential_id)
        wire = _Wire(Mask(_secrets(login), upstream.options.get("static_headers", {})))
        tokens = _ask(upstream, login, question, wire)
    except (UpstreamError, VaultError) as exc:
        kind = type(exc).__name__
    return Trial(kind, (time.monotonic() - started) * 1000, tuple(wire.exchanges), login, tokens)


def keep(provider: Provider, trial: Trial, question: Question, author: str) -> Probe:
    """A row of the history of probes."""
    return Probe.objects.create(
        provider=provider,
        endpoint=question.model if question.is_chat else "",
        ok=not trial.kind,
        kind=trial.kind,
        latency_ms=trial.milliseconds,
        credential_id=trial.login.id if trial.login else None,
        asked_by=author,
    )


def _chosen(upstream: Upstream, credential_id: int | None) -> Login:
    for login in upstream.logins:
        if credential_id in {None, login.id}:
            return login
    raise DeadCredential(detail="no credential that may be sent")


def _secrets(login: Login) -> list[Any]:
    """A scope is no secret, and a wrong one is to be seen."""
    return [value for name, value in login.secret.items() if name != "scope"]


def _ask(upstream: Upstream, login: Login, question: Question, wire: _Wire) -> int | None:
    adapter = ADAPTERS[upstream.adapter]
    to = target(upstream, authorization(upstream, login, wire.send))
    if question.is_chat:
        return _chat(upstream, replace(to, **_place(upstream, question)), question, wire)
    response = wire.send(adapter.models_request(to), upstream)
    if response.status != 200:
        raise adapter.failure(response)
    return None


def _place(upstream: Upstream, question: Question) -> dict[str, Any]:
    options = {**upstream.options, **question.options}
    return {"model": question.model, "options": options, "features": question.features}


def _chat(upstream: Upstream, to: Target, question: Question, wire: _Wire) -> int | None:
    adapter = ADAPTERS[upstream.adapter]
    chat = {"model": to.model, "messages": [{"role": "user", "content": question.text}], "max_tokens": 1}
    texts = {"model": to.model, "input": [question.text]}
    request = adapter.embeddings_request(texts, to) if question.embeds else adapter.chat_request(chat, to)
    response = wire.send(request, upstream)
    if response.status != 200:
        raise adapter.failure(response)
    if question.embeds:
        adapter.embeddings(response, texts)
        return None
    usage = adapter.chat_completion(response).get("usage")
    return usage.get("prompt_tokens") if usage else None


def _hurried(upstream: Upstream, left: float) -> Upstream:
    """The same provider, waited for no longer than ``left`` seconds."""
    given = upstream.timeouts
    left = max(left, 0.1)
    limits = Timeouts(
        connect=min(given.connect, left), first_byte=min(given.first_byte, FIRST_BYTE, left), total=left
    )
    return replace(upstream, timeouts=limits)
