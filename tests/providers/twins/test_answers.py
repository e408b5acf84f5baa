"""What a twin says: the same to the same question, within limits, with calls and JSON where asked."""

import pytest

from providers.twins import answers
from providers.twins.directives import directives
from providers.twins.emulated import recognised
from providers.twins.shapes import Call, Message, Question, Tool

WEATHER = Tool(
    "get_weather",
    "Погода в городе",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
RATE = Tool("get_rate", "Курс валюты", {"type": "object", "properties": {"code": {"enum": ["USD", "CNY"]}}})


def asked(text: str, **fields) -> Question:
    message = Message("user", text)
    return Question("m", (message,), directives(text), **fields)


def answer(text: str, **fields) -> answers.Answer:
    return answers.answers(asked(text, **fields), "GigaChat", "abcd")[0]


def test_an_answer_is_marked_and_speaks_of_the_question():
    text = answer("Столица Карелии?").text

    assert text.startswith("[двойник] Двойник GigaChat: вы спросили о «Столица Карелии?».")
    assert text.count(".") >= 3


def test_the_same_question_gets_the_same_answer_and_another_one_another():
    assert answer("Раз") == answer("Раз")
    assert answer("Раз").text != answer("Два").text


def test_a_directive_does_not_change_the_words():
    assert answer("[[fault=cut]]Раз").text == answer("Раз").text


def test_copies_differ():
    one, other = answers.answers(asked("Раз", copies=2), "GigaChat")

    assert one != other


def test_an_answer_ends_at_the_limit():
    cut = answer("Раз", max_tokens=5)

    assert (answers.tokens(cut.text), cut.finish) == (5, "length")


def test_an_answer_ends_before_a_stop():
    assert answer("Раз", stop=("вы спросили",)).text == "[двойник] Двойник GigaChat: "


def test_thoughts_count_towards_the_limit():
    cut = answer("Раз", thinking=True, max_tokens=3)

    assert (cut.text, answers.tokens(cut.reasoning), cut.finish) == ("", 3, "length")


@pytest.mark.parametrize("wanted", [1, 40, 500])
def test_an_answer_is_as_long_as_ordered(wanted):
    assert answers.tokens(answer(f"[[tokens={wanted}]]").text) == wanted


@pytest.mark.parametrize(("wanted", "count"), [(500, 40), (40, 40), (7, 3)])
def test_a_text_is_cut_into_as_many_pieces_as_ordered(wanted, count):
    text = answer(f"[[tokens={wanted}]]").text

    cut = answers.pieces(text, 4, count)

    assert len(cut) == count
    assert "".join(cut) == text


def test_an_echo_is_exact():
    assert answer("[[echo]]  Ёж\n «б» 🦔 ").text == "  Ёж\n «б» 🦔 "


def test_a_nonce_comes_once():
    assert answer("[[nonce]]Раз").text.count("abcd") == 1


def test_thoughts_are_left_in_the_text_on_demand():
    assert answer("[[think]]Раз").text.startswith("<think>\n\n</think>\n\n[двойник]")
    assert answer("[[think]]Раз", thinking=True).text.startswith("<think>\nСпрашивают")


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("Какая погода в Казани?", (Call("get_weather", {"city": "Казань"}),)),
        ("Курс CNY?", (Call("get_rate", {"code": "CNY"}),)),
        ("Вызови get_rate", (Call("get_rate", {"code": "USD"}),)),
        ("[[call=get_weather]]", (Call("get_weather", {"city": "Москва"}),)),
        ("[[call]]", (Call("get_weather", {"city": "Москва"}),)),
        ("Столица Карелии?", ()),
    ],
)
def test_a_tool_is_called_when_the_text_asks_for_it(text, calls):
    assert answer(text, tools=(WEATHER, RATE)).calls == calls


def test_several_tools_are_called_unless_one_is_the_most():
    text = "Погода и курс?"

    assert len(answer(text, tools=(WEATHER, RATE)).calls) == 2
    assert len(answer(text, tools=(WEATHER, RATE), parallel=False).calls) == 1


@pytest.mark.parametrize(
    ("choice", "called"), [("none", []), ("required", ["get_weather"]), ("get_rate", ["get_rate"])]
)
def test_a_choice_is_obeyed(choice, called):
    made = answer("Столица Карелии?" if choice != "none" else "Погода?", tools=(WEATHER, RATE), choice=choice)

    assert [call.name for call in made.calls] == called


def test_a_result_is_used_and_no_call_follows():
    messages = (Message("user", "Погода?"), Message("assistant", ""), Message("result", '{"t": -5}'))
    question = Question("m", messages, directives("Погода?"), tools=(WEATHER,))

    made = answers.answers(question, "GigaChat")[0]

    assert made.calls == ()
    assert 'функция вернула: {"t": -5}.' in made.text


def test_any_json_will_do_where_no_schema_is_given():
    assert answer("Раз", schema={}).text == '{"twin":true,"answer":"Раз"}'


PROMPT = """Кратко.

Тебе доступны функции. Вот они, по одному объекту JSON в строке:
{"name": "get_weather", "description": "Погода", "parameters": {"properties": {"city": {"type": "string"}}}}
Чтобы вызвать функцию, ответь <tool_call>{"name": …}</tool_call>"""
CALL = '<tool_call>{"name":"get_weather","arguments":{"city":"Казань"}}</tool_call>'


def emulated(*said: Message) -> answers.Answer:
    last = [message.text for message in said if message.role == "user"][-1]
    question = recognised(Question("m", (Message("system", PROMPT), *said), directives(last)))
    return answers.answers(question, "YandexGPT")[0]


def test_tools_of_the_prompt_are_called_in_the_text():
    assert emulated(Message("user", "Погода в Казани?")).text == CALL


def test_a_careless_model_wraps_its_call_in_chatter():
    text = emulated(Message("user", "Погода в Казани? [[sloppy]]")).text

    assert CALL in text
    assert text.startswith("Хорошо")
    assert text.endswith("всё готово!")


def test_a_result_in_the_prompts_form_is_understood():
    result = Message("user", '<tool_result>{"name": "get_weather", "result": {"t": -5}}</tool_result>')

    text = emulated(Message("user", "Погода?"), Message("assistant", CALL), result).text

    assert '{"t": -5}' in text
    assert "<tool_call>" not in text


def test_usage_adds_up():
    question = asked("12345678", tools=(), thinking=True)
    made = answers.answers(question, "GigaChat")

    usage = answers.usage(question, made)

    assert usage.prompt == 2 + answers.PER_MESSAGE
    assert usage.reasoning == answers.tokens(made[0].reasoning)
    assert usage.completion == usage.reasoning + answers.tokens(made[0].text)


def test_who_wants_the_answer_once_more_gets_it_about_his_question():
    once_more = Message("user", f"{answers.ONCE_MORE} это не JSON")
    said = (Message("user", "[[echo]]Казань"), Message("assistant", "Казань"), once_more)
    question = Question(
        "m", said, directives(once_more.text), schema={"properties": {"city": {"type": "string"}}}
    )

    assert answers.asked(question) == "Казань"
