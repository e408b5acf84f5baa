"""How careless twins spoil JSON: drawn by a seed, each slip as it is meant."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from providers.twins import answers, slips
from providers.twins.directives import directives
from providers.twins.emulated import recognised
from providers.twins.shapes import Call, Message, Question, Tool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
VALUE = {"city": "Казань"}
WEATHER = Tool("get_weather", "Погода", SCHEMA)
PROMPT = f"Ответ должен быть только корректным JSON.\nJSON Schema: {json.dumps(SCHEMA)}"


def answer(*said: str, system: str = PROMPT, **fields) -> str:
    messages = (Message("system", system), *(Message("user", text) for text in said))
    question = recognised(Question("m", messages, directives(said[-1]), **fields))
    return answers.answers(question, "YandexGPT")[0].text


@pytest.mark.parametrize(
    ("slip", "text"),
    [
        (slips.fenced, '```json\n{"city":"Казань"}\n```'),
        (slips.with_a_comma, '{"city":"Казань",}'),
        (slips.in_other_quotes, "{'city':'Казань'}"),
        (slips.cut_short, '{"city":"Ка'),
        (slips.incomplete, "{}"),
        (slips.of_another_type, '{"city":-1}'),
    ],
)
def test_a_slip_is_what_it_is_called(slip, text):
    assert slip(VALUE, SCHEMA) == text


def test_chatter_stands_around_the_answer():
    assert '\n{"city":"Казань"}\n' in slips.chatty(VALUE, SCHEMA)
    assert '```json\n{"city":"Казань"}\n```' in slips.fenced_and_chatty(VALUE, SCHEMA)


def test_every_slip_is_drawn_and_two_answers_of_five_have_none():
    drawn = Counter(slips.careless_json(VALUE, SCHEMA, str(seed)) for seed in range(1000))
    called = Counter(slips.careless_call(Call("f", VALUE), WEATHER, str(seed)) for seed in range(1000))

    assert len(drawn) == 1 + len(slips.ANSWER_SLIPS)
    assert len(called) == 1 + len(slips.CALL_SLIPS)
    for counted in (drawn, called):
        assert counted.most_common(1)[0][1] == pytest.approx(400, abs=50)
        assert min(counted.values()) > 20


def test_the_same_question_is_spoilt_the_same_way():
    assert len({answer("[[sloppy=1]]Погода в Казани?") for _ in range(5)}) == 1
    assert len({answer(f"[[sloppy={seed}]]Погода в Казани?") for seed in range(100)}) > 5


def test_who_was_careless_once_is_careless_when_told_to_mend_it():
    mended = {answer(f"[[sloppy={seed}]]Погода в Казани?", "Исправь ответ.") for seed in range(100)}

    assert len(mended) > 5


def test_a_form_that_has_a_field_is_kept_to():
    told = {answer(f"[[sloppy={seed}]]Погода в Казани?", schema=SCHEMA) for seed in range(100)}

    assert told == {'{"city":"Казань"}'}


def test_nobody_is_careless_without_an_order():
    assert answer("Погода в Казани?") == '{"city":"Казань"}'
    assert answer("Погода?", system="Ответ — только корректным JSON.") == '{"twin":true,"answer":"Погода?"}'


def test_a_model_that_is_told_to_call_calls():
    both = (WEATHER, replace(WEATHER, name="get_time"))
    messages = (Message("system", "Сейчас ты обязан вызвать функцию."), Message("user", "Привет"))
    question = recognised(Question("m", messages, directives("Привет"), tools=both))

    assert [call.name for call in answers.wanted_calls(question)] == ["get_weather"]
    assert not list(answers.wanted_calls(replace(question, choice="auto")))


@pytest.mark.parametrize(("order", "count"), [("", 1), ("[[greedy]]", 2), ("[[stubborn]]", 0)])
def test_rules_for_calls_are_broken_on_demand(order, count):
    both = (WEATHER, replace(WEATHER, name="get_time"))
    text = f"{order}[[call=get_weather]][[call=get_time]]"
    question = Question("m", (Message("user", text),), directives(text), tools=both, parallel=False)

    assert len(list(answers.wanted_calls(question))) == count
