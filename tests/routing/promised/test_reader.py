"""What of a streamed answer is shown when."""

import json
from random import Random

import pytest

from routing.promised.form import Form, found_in
from routing.promised.reader import Reader
from tests.routing.promised.test_form import PERSON

FORM = Form(PERSON)


def fed(text, step=1, form=FORM, shown=""):
    reader = Reader(form, shown)
    return reader, "".join(reader.feed(text[at : at + step]) for at in range(0, len(text), step))


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("around", ["%s", "```json\n%s\n```", "Вот: %s Готово."])
def test_a_fitting_answer_is_shown_to_its_end_without_what_stands_around(step, around):
    document = '{"name": "Иван", "age": 40}'

    reader, shown = fed(around % document, step)

    assert shown + reader.rest(found_in(reader.text)) == document


def test_a_fitting_answer_is_shown_as_it_comes():
    reader = Reader(FORM)

    assert reader.feed('{"na') == "{"
    assert reader.feed('me": "Ива') == '"name": "Ива'
    assert reader.feed('н", "age": 4') == 'н"'
    assert reader.feed("0}") == ', "age": 40}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"name": 5, "age": 40}', "{"),
        ('{"name": "Иван", "age": "сорок"}', '{"name": "Иван"'),
        ('{"name": "Иван", "other": 1}', '{"name": "Иван"'),
        ('[{"name": "Иван"}]', ""),
        ('{"name": "Иван" "age": 1}', '{"name": "Иван"'),
        ("Не скажу.", ""),
    ],
)
def test_what_cannot_be_right_is_not_shown(text, shown):
    assert fed(text)[1] == shown


def test_of_a_choice_of_words_nothing_is_shown_before_the_word_is_whole():
    form = Form({"type": "object", "properties": {"mood": {"enum": ["рад", "грустен"]}}})

    assert fed('{"mood": "ра', form=form)[1] == "{"
    assert fed('{"mood": "рад"', form=form)[1] == '{"mood": "рад"'
    assert fed('{"mood": "зол"', form=form)[1] == "{"


def test_nothing_is_shown_early_of_a_form_that_only_the_whole_can_tell():
    reader, shown = fed('{"a": 1}', form=Form({"not": {"required": ["b"]}}))

    assert shown == ""
    assert reader.rest(found_in(reader.text)) == '{"a": 1}'


def test_where_nothing_may_be_shown_early_all_comes_at_the_end():
    reader = Reader(FORM, waits=True)

    assert reader.feed('{"name": "Иван", ') + reader.feed('"age": 40}') == ""
    assert reader.rest(found_in(reader.text)) == '{"name": "Иван", "age": 40}'


def test_a_second_try_goes_on_from_what_was_shown():
    reader, shown = fed('{ "name": "Иван Петров", "age": 40 }', shown='{"name": "Иван')

    assert shown == ""
    assert json.loads('{"name": "Иван' + reader.rest(found_in(reader.text))) == {
        "name": "Иван Петров",
        "age": 40,
    }


def test_a_second_try_that_begins_otherwise_does_not_go_on():
    reader, _ = fed('{"name": "Пётр", "age": 40}', shown='{"name": "Иван')

    assert reader.rest(found_in(reader.text)) is None


def test_what_is_shown_is_always_a_beginning_of_what_was_said():
    """Random damage: whatever is shown stands in the answer, and may still become what was promised."""
    random = Random(1)
    for _ in range(500):
        text = list('{"name": "Иван \\u0418 \\"ё\\"", "age": 40}')
        for _ in range(random.randrange(3)):
            text[random.randrange(len(text))] = random.choice('{}[],:"\\ x1')
        said = "".join(text)

        _, shown = fed(said, random.randrange(1, 9))

        assert shown in said
