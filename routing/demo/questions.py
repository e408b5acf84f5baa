"""What is asked: chats, among them for the model that suits, and texts that become vectors. Pure.

There is no text anywhere, only sizes: no word of a prompt is kept of real requests either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from accounts.keys import Kind
from providers.adapters import ADAPTERS
from routing.classifier import Task, classify
from routing.demo.cast import Habits, KeyPlan
from routing.demo.market import Dish, Market
from routing.meter import Size
from routing.models import AUTO
from routing.needs import needs_of, needs_of_texts
from routing.policy import Decision, Group, Question, decide
from routing.wishes import NO_WISHES, SUFFIXES, wishes_of

# Shares of chats: by a name of our own choosing, with others to fall back on, with a suffix, with wishes.
AUTOMATIC, WITH_OTHERS, WITH_SUFFIX, WITH_WISHES, BY_ALIAS = 0.12, 0.1, 0.04, 0.05, 0.3
WITH_TOOLS, WITH_FORM, WITH_LIMIT, WITH_TEMPERATURE = 0.15, 0.1, 0.5, 0.6
SUFFIX = "floor"
WISHES: tuple[Mapping[str, Any], ...] = (
    {"sort": "price"},
    {"sort": "throughput"},
    {"data_collection": "deny"},
    {"preferred_max_latency": 3},
)
# Questions by which the kinds of tasks and their cues are told.
TASKS = (
    "Привет! Как дела?",
    "Напиши функцию на Python с тестом на pytest",
    "Переведи письмо на английский язык",
    "Извлеки из отзыва сущности и верни JSON",
    "Посчитай, сколько процентов годовых по вкладу",
    "Сочини сказку про лису",
)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
LIMITS = (256, 768, 1_024, 2_048, 4_096)
TEMPERATURES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.7, 1.0)
# Of texts that become vectors.
MOST_TEXTS, CHARACTERS = 32, 900


class Asker(NamedTuple):
    """Who asks, by what key."""

    client_id: int
    key_id: int
    key: KeyPlan
    habits: Habits


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and what was decided about it. ``chat`` has no messages."""

    id: UUID
    asker: Asker
    chat: Mapping[str, Any]
    question: Question
    decision: Decision

    @property
    def is_of_texts(self) -> bool:
        return bool(self.question.needs.size.texts)


def asked(dice: Random, market: Market, asker: Asker, moment: datetime) -> Asked | None:
    """A request at ``moment``; None where nobody may answer it."""
    number = UUID(int=dice.getrandbits(128))
    dish = market.menu[dice.choice(asker.habits.models)]
    ask = _chat if dish.is_chat else _texts
    chat, question = ask(dice, market, dish, asker, moment=moment, seed=number.hex)
    decision = decide(question)
    return Asked(number, asker, chat, question, decision) if decision.places else None


def _texts(
    dice: Random, market: Market, dish: Dish, asker: Asker, *, moment: datetime, seed: str
) -> tuple[dict[str, Any], Question]:
    count = dice.randint(1, MOST_TEXTS)
    longest = min(dice.randint(40, CHARACTERS), dish.card.context_length * 2)
    size = Size(
        dice.randint(longest, longest * count), 0, 0, 0, 0, has_tools=False, texts=count, longest=longest
    )
    chat = {"model": _name(dice, dish)}
    is_test = asker.key.kind == Kind.TEST
    group = market.group(dish, is_test=is_test)
    return chat, Question(
        (group,),
        needs_of_texts(chat, size),
        moment,
        seed,
        NO_WISHES,
        market.vitals(moment),
        is_test,
        market.catalogue.version,
    )


def _chat(
    dice: Random, market: Market, dish: Dish, asker: Asker, *, moment: datetime, seed: str
) -> tuple[dict[str, Any], Question]:
    chat = _fields(dice, asker.habits)
    is_test = asker.key.kind == Kind.TEST
    chat["model"], groups = _models(dice, market, dish, is_test=is_test)
    if "session_id" in chat and _remembers(groups):
        seed = _mark(asker, chat["session_id"])
    return chat, Question(
        groups=groups,
        needs=needs_of(chat, _size(dice, asker.habits, chat)),
        moment=moment,
        seed=seed,
        wishes=wishes_of(dice.choice(WISHES) if dice.random() < WITH_WISHES else None),
        vitals=market.vitals(moment),
        is_test=is_test,
        version=market.catalogue.version,
    )


def _mark(asker: Asker, session: str) -> str:
    """What the requests of one conversation have in common."""
    return blake2b(f"{asker.key.prefix}:{session}".encode(), digest_size=16).hexdigest()


def _models(dice: Random, market: Market, dish: Dish, *, is_test: bool) -> tuple[str, tuple[Group, ...]]:
    """The name that is asked for, and what it stands for."""
    if dice.random() < AUTOMATIC and (routes := market.of_auto(is_test=is_test)):
        task = dice.choice(_tasks())
        return AUTO, (Group(routes, task=task.kind, cues=task.reasons),)
    group, name = market.group(dish, is_test=is_test), _name(dice, dish)
    if dice.random() < WITH_SUFFIX:
        return f"{dish.card.slug}:{SUFFIX}", (group._replace(sort=SUFFIXES[SUFFIX]),)
    if dice.random() < WITH_OTHERS:
        others = [other for other in market.menu if other.is_chat and other is not dish]
        more = dice.sample(others, min(2, len(others)))
        return name, (group, *(market.group(other, is_test=is_test) for other in more))
    return name, (group,)


def _name(dice: Random, dish: Dish) -> str:
    return dice.choice(dish.names) if dice.random() < BY_ALIAS else dish.names[0]


def _fields(dice: Random, habits: Habits) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    if dice.random() < habits.streams:
        chat["stream"] = True
    if dice.random() < WITH_TEMPERATURE:
        chat["temperature"] = dice.choice(TEMPERATURES)
    if dice.random() < WITH_LIMIT:
        chat["max_tokens"] = dice.choice(LIMITS)
    if dice.random() < WITH_TOOLS:
        chat["tools"] = [TOOL]
    elif dice.random() < WITH_FORM:
        chat["response_format"] = {"type": "json_object"}
    if dice.random() < habits.talks:
        chat["session_id"] = f"разговор-{dice.randrange(200):03}"
    return chat


def _size(dice: Random, habits: Habits, chat: Mapping[str, Any]) -> Size:
    messages = dice.randint(3, 15) if "session_id" in chat else dice.randint(1, 2)
    characters = min(round(habits.characters * dice.lognormvariate(0, 0.6) * (1 + messages / 4)), 24_000)
    return Size(
        characters=characters + 20,
        excess=0,
        images=0,
        messages=messages,
        schema_characters=0,
        has_tools="tools" in chat,
    )


def _remembers(groups: tuple[Group, ...]) -> bool:
    return any(ADAPTERS[route.upstream.adapter].REMEMBERS for group in groups for route in group.routes)


@cache
def _tasks() -> tuple[Task, ...]:
    return tuple(classify({"messages": [{"role": "user", "content": text}]}) for text in TASKS)
