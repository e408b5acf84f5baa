"""The kinds of labelled prompts, and what a hostile one may cost."""

import os
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from providers.wire import Chat
from routing.classifier import KINDS, classify
from routing.cues import EXACT, STEM, STEMS

ROOT = Path(__file__).parents[2]
PROMPTS = tomllib.loads((Path(__file__).parent / "fixtures" / "tasks.toml").read_text())
# Shares of right kinds, below what was measured by two prompts: docs/decisions/auto.md.
FLOORS = {"build": 0.97, "held_out": 0.92}


def filled(text: str) -> str:
    """``text`` with its documents in place."""

    def document(match: re.Match[str]) -> str:
        source, size = PROMPTS["documents"][match[1]], int(match[2])
        return (source * (size // len(source) + 1))[:size]

    return re.sub(r"<<(\w+) (\d+)>>", document, text)


def chat_of(prompt: str | dict) -> Chat:
    fields = {"text": prompt} if isinstance(prompt, str) else prompt
    system = [{"role": "system", "content": fields["system"]}] if "system" in fields else []
    chat: Chat = {"messages": [*system, {"role": "user", "content": filled(fields["text"])}]}
    if "response_format" in fields:
        chat["response_format"] = {"type": fields["response_format"]}
    return chat


def asked(text: str, **fields) -> Chat:
    return {"messages": [{"role": "user", "content": text}], **fields}


def confusion(half: str) -> Counter[tuple[str, str]]:
    """Pairs of the label and what the classifier said, counted."""
    return Counter(
        (kind, classify(chat_of(prompt)).kind)
        for kind, prompts in PROMPTS[half].items()
        for prompt in prompts
    )


def every_kind_at_once() -> str:
    """All words we know, as many as fit."""
    return " ".join([*EXACT, *(stem for entries in STEMS.values() for stem, _ in entries)])


HOSTILE = {
    "spaces": " " * 2_000_000,
    "one letter": "а" * 2_000_000,
    "one digit": "1" * 2_000_000,
    "one sign": "`" * 2_000_000,
    "signs": "{_;=" * 500_000,
    "sums": "1+" * 1_000_000,
    "sums with spaces": "1 + " * 500_000,
    "unfinished sums": "1 +" * 600_000,
    "pairs of letters": "".join(
        f"{a}{b} " for a in "абвгдежзийклмнопрстуфхцчшщыэюя" for b in "абвгдежзийклмнопр"
    ),
    "stems that lead nowhere": "".join(f"{head}{n} {head}ъъ " for n, head in enumerate(STEMS)),
    "every cue": every_kind_at_once(),
    "emoji": "😀" * 500_000,
    "capitals that grow when lowered": "İ" * 1_000_000,
}


@pytest.mark.parametrize("half", FLOORS)
def test_kinds_are_told_apart(half):
    counted = confusion(half)

    right = sum(count for (label, said), count in counted.items() if label == said)
    assert right / counted.total() >= FLOORS[half], sorted(counted.items())


@pytest.mark.parametrize("half", FLOORS)
def test_every_kind_has_its_prompts(half):
    assert {kind: len(prompts) for kind, prompts in PROMPTS[half].items()} == dict.fromkeys(KINDS, 10)


def test_no_prompt_is_in_both_halves():
    build, held_out = ({str(p) for ps in PROMPTS[half].values() for p in ps} for half in FLOORS)

    assert not build & held_out


def test_the_order_of_sets_changes_nothing():
    """Python orders words in a set anew in each process."""
    program = (
        "from tests.routing.test_classifier import PROMPTS, chat_of, classify\n"
        "halves = (PROMPTS['build'], PROMPTS['held_out'])\n"
        "print([classify(chat_of(p)) for half in halves for ps in half.values() for p in ps])"
    )

    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1


@pytest.mark.parametrize("text", ["ПЕРЕВЕДИ НА АНГЛИЙСКИЙ: ВСЁ ГОТОВО", "переведи на английский: всё готово"])
def test_capitals_are_small_letters(text):
    assert classify(asked(text)).kind == "translation"


def test_yo_is_ye():
    assert classify(asked("сделай расчёт: отчёт, учёт")) == classify(asked("сделай расчет: отчет, учет"))


def test_a_schema_makes_it_extraction():
    assert classify(asked("Вася, 5 лет", response_format={"type": "json_schema"})).kind == "extraction"
    assert classify(asked("Вася, 5 лет", response_format={"type": "text"})).kind == "chat"


def test_reasons_are_our_cues_and_nothing_of_the_prompt():
    task = classify(asked("Переведите секретный договор Ромашки на английский"))

    assert task.reasons == ("слово: перевед…", "слово: английск…")


@pytest.mark.parametrize(("text", "are_told"), [("Было 5, стало 7.", True), ("Было 5, стало 5.", False)])
def test_two_numbers_are_numbers_and_one_said_twice_is_not(text, are_told):
    assert ("числа" in classify(asked(f"Посчитай. {text}")).reasons) is are_told


def test_a_chat_needs_no_reason():
    assert classify(asked("Ночь тиха")) == classify(asked(""))
    assert classify(asked("Ночь тиха")).reasons == ()


def test_the_last_question_counts_not_those_before():
    messages = [
        {"role": "user", "content": "Напиши функцию на Python"},
        {"role": "assistant", "content": "def f(): ..."},
        {"role": "user", "content": "Спасибо! А теперь посоветуй фильм."},
    ]

    assert classify({"messages": messages}).kind == "chat"


def test_a_long_conversation_is_long_where_the_question_says_nothing():
    messages = [{"role": role, "content": filled("<<story 9000>>")} for role in ("user", "assistant", "user")]
    messages.append({"role": "user", "content": "а дальше?"})

    assert classify({"messages": messages}).kind == "long"


def test_parts_of_text_are_read_and_other_parts_are_not():
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.com/переведи.png"}},
        {"type": "text", "text": "Реши уравнение"},
        {"type": "text", "text": "с картинки"},
    ]

    assert classify({"messages": [{"role": "user", "content": parts}]}).kind == "math"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [{"role": "assistant", "content": None, "tool_calls": []}],
        [{"role": "system", "content": [{"type": "text", "text": "Ты помощник"}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b"}}]}],
        [{"role": "tool", "tool_call_id": "1", "content": "{}"}],
    ],
)
def test_who_says_nothing_chats(messages):
    assert classify({"messages": messages}).kind == "chat"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_long(text):
    chat = {"messages": [{"role": "system", "content": text}, {"role": "user", "content": text}]}

    assert least_seconds(chat) < 10 * ordinary_seconds()


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "а"}] * 10_000,
        [{"role": "assistant", "content": "а"}] * 10_000,
        [{"role": "user", "content": [{"type": "text", "text": "переведи " * 10}] * 10_000}],
        [{"role": "user", "content": [{"type": "text", "text": "переведи " * 20_000}] * 16}],
    ],
)
def test_no_number_of_messages_or_parts_takes_long(messages):
    assert least_seconds({"messages": messages}) < 10 * ordinary_seconds()


def test_every_stem_is_long_enough_to_be_found():
    assert all(len(stem) >= STEM for entries in STEMS.values() for stem, _ in entries)


def ordinary_seconds() -> float:
    """Of a question of some thousand characters, on the same machine."""
    return least_seconds({"messages": [{"role": "user", "content": "Расскажи, пожалуйста, о море. " * 50}]})


def least_seconds(chat: Chat) -> float:
    """CPU seconds of the quickest of 20 runs: what others do on the machine is none of it."""
    taken = []
    for _ in range(20):
        started = time.process_time()
        classify(chat)
        taken.append(time.process_time() - started)
    return min(taken)
