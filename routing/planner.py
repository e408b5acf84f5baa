"""From a customer's chat to a question for the policy: which models, which wishes, which seed."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import orjson

from accounts.callers import Caller
from accounts.errors import ModelNotAllowed
from monitoring.vitals import Vitals
from providers.adapters import ADAPTERS
from providers.wire import Chat, Texts
from routing.catalogue import Catalogue
from routing.classifier import classify
from routing.errors import BadRequest, UnknownModel
from routing.meter import Size
from routing.models import AUTO
from routing.needs import needs_of, needs_of_texts
from routing.policy import Group, Question
from routing.reading import nearest
from routing.route import Route
from routing.wishes import SUFFIXES, By, split_suffix, wishes_of

# Messages by which a conversation is known again: what opens it stays the same while it grows.
OPENING = 2
REMEMBERING = {name for name, adapter in ADAPTERS.items() if adapter.REMEMBERS}
# What is said of a model of the other kind, and of choosing one.
ELSEWHERE = {
    "chat": "Модель «{}» отвечает в чате, её спрашивают через POST /v1/chat/completions.",
    "embeddings": "Модель «{}» превращает тексты в векторы, её спрашивают через POST /v1/embeddings.",
}
NOT_CHOSEN = (
    "xrouter/auto выбирает модель для чата. Векторы разных моделей нельзя сравнивать: назовите модель сами."
)


class Planner:
    """One per web worker. Knows the catalogue, health and the time; decides nothing."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        vitals: Callable[[], Mapping[int, Vitals]],
        now: Callable[[], datetime],
        *,
        secret: bytes,
    ) -> None:
        """``now``: the database's time. ``secret``: with it nobody can tell a conversation from its mark."""
        self._catalogue = catalogue
        self._vitals = vitals
        self._now = now
        # With the key in it already: marks are made of copies.
        self._marking = hashlib.blake2b(key=hashlib.blake2b(secret).digest(), digest_size=16)

    def question(self, caller: Caller, chat: Chat, size: Size, seed: str) -> Question:
        """What to decide. ``seed``: the generation's, for a draw that no session has a part in.

        Raises UnknownModel, ModelNotAllowed, or BadRequest for a model that does not chat.
        """
        catalogue = self._catalogue()
        groups = _distinct([self._group(catalogue, caller, chat, name) for name in _wanted(chat)])
        return Question(
            groups=groups,
            needs=needs_of(chat, size),
            moment=self._now(),
            seed=self.mark(caller, chat) if _remembers(groups) else seed,
            wishes=wishes_of(chat.get("provider"), *caller.defaults),
            vitals=self._vitals(),
            is_test=caller.is_test,
            version=catalogue.version,
        )

    def text_question(self, caller: Caller, asked: Texts, size: Size, seed: str) -> Question:
        """The same for vectors: of one model, by its name, since those of two cannot be compared."""
        catalogue = self._catalogue()
        group = _named(catalogue, caller, asked["model"], "embeddings")
        if group is None:
            bare, _ = split_suffix(asked["model"])
            if bare.lower() == AUTO:
                raise BadRequest(NOT_CHOSEN, param="model")
            known = catalogue.names("embeddings", caller.plan, caller.client_id)
            raise UnknownModel(bare, nearest(bare, known))
        return Question(
            groups=(group,),
            needs=needs_of_texts(asked, size),
            moment=self._now(),
            seed=seed,
            wishes=wishes_of(asked.get("provider"), *caller.defaults),
            vitals=self._vitals(),
            is_test=caller.is_test,
            version=catalogue.version,
        )

    def mark(self, caller: Caller, chat: Chat) -> str:
        """What the requests of one conversation have in common: 32 hexadecimal digits that name nobody."""
        session = chat.get("session_id")
        told = session.encode() if session else orjson.dumps(chat["messages"][:OPENING])
        digest = self._marking.copy()
        digest.update(b"%d:%d:" % (caller.client_id, bool(session)))
        digest.update(told)
        return digest.hexdigest()

    def _group(self, catalogue: Catalogue, caller: Caller, chat: Chat, name: str) -> Group:
        if (group := _named(catalogue, caller, name, "chat")) is not None:
            return group
        bare, suffix = split_suffix(name)
        if bare.lower() == AUTO:
            task = classify(chat)
            return Group(_choice(catalogue, caller), *_manner(suffix), task.kind, task.reasons)
        known = nearest(bare, [AUTO, *catalogue.names("chat", caller.plan, caller.client_id)])
        raise UnknownModel(bare, known, param="model" if name == chat.get("model") else "models")


def _named(catalogue: Catalogue, caller: Caller, name: str, kind: str) -> Group | None:
    """The endpoints of the model ``name``; None if there is none for ``caller``.

    Raises BadRequest for another kind, ModelNotAllowed.
    """
    card, suffix = catalogue.find(name, caller.plan, caller.client_id), ""
    if card is None:
        bare, suffix = split_suffix(name)
        card = catalogue.find(bare, caller.plan, caller.client_id)
    if card is None:
        return None
    if caller.models:
        caller.check_model(*card.names)
    if card.kind != kind:
        raise BadRequest(ELSEWHERE[card.kind].format(card.slug), param="model")
    return Group(card.twin_routes if caller.is_test else card.routes, *_manner(suffix))


def _manner(suffix: str) -> tuple[By, bool]:
    """How a group is sorted, and whether it is to be free, by the suffix of its name."""
    return SUFFIXES.get(suffix, ""), suffix == "free"


def _wanted(chat: Chat) -> list[str]:
    """The models the customer would take, in his order."""
    names = [chat["model"]] if chat.get("model") else []
    others = chat.get("models")
    return list(dict.fromkeys(names + others)) if others else names


def _choice(catalogue: Catalogue, caller: Caller) -> tuple[Route, ...]:
    """The endpoints of all models that ``auto`` may choose for ``caller``. Raises ModelNotAllowed."""
    allowed = catalogue.candidates(caller.plan, caller.client_id)
    if caller.models:
        allowed = [card for card in allowed if not caller.models.isdisjoint(card.names)]
    if not allowed:
        raise ModelNotAllowed
    is_test = caller.is_test
    return tuple([route for card in allowed for route in (card.twin_routes if is_test else card.routes)])


def _distinct(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Each endpoint in the first group that has it: two names may mean the same model."""
    if len(groups) == 1:
        return tuple(groups)
    found: list[Group] = []
    seen: set[int] = set()
    for group in groups:
        routes = tuple(route for route in group.routes if route.endpoint_id not in seen)
        seen.update(route.endpoint_id for route in routes)
        if routes or not found:
            found.append(group._replace(routes=routes))
    return tuple(found)


def _remembers(groups: Iterable[Group]) -> bool:
    """Whether one of the providers has a cache that a conversation is the cheaper for meeting again."""
    return any(route.upstream.adapter in REMEMBERING for group in groups for route in group.routes)
