import pytest

from routing.meter import LONGEST_TOKEN, is_over, is_plausible, measure, measure_texts, usage

CHAT = {"messages": [{"role": "user", "content": "Привет, как дела?"}]}
TOOLS = [{"type": "function", "function": {"name": "погода", "parameters": {"type": "object"}}}]


def says(text, **more):
    return measure({"messages": [{"role": "user", "content": text}], **more})


def test_messages_and_tools_count():
    assert says("Привет" * 10).estimate() > says("Привет").estimate()
    assert says("Привет", tools=TOOLS).estimate() > says("Привет").estimate()
    assert measure({"messages": CHAT["messages"] * 2}).estimate() == 2 * measure(CHAT).estimate()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tools": TOOLS},
        {"functions": [{"name": "погода"}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"a" * 100: 1}}}},
    ],
    ids=["text", "tools", "functions", "schema"],
)
def test_the_bound_is_above_the_estimate(more):
    size = says("Съешь же ещё этих мягких французских булок. " * 20, **more)

    assert size.bound(2.0) > size.estimate()


def test_a_form_asked_of_the_answer_counts_in_the_bound():
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"description": "а" * 3000}}}

    assert says("Привет", response_format=schema).bound(2.0) > says("Привет").bound(2.0) + 1500


def test_an_image_counts_as_an_image_and_not_as_its_characters():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}

    size = says([{"type": "text", "text": "Что здесь?"}, image, image])

    assert 2_000 < size.estimate() < 2_100
    assert 8_000 < size.bound(2.0) < 8_200


@pytest.mark.parametrize("text", ["🦔" * 1000, "漢字" * 500])
def test_signs_that_take_several_tokens_each_are_bounded_higher(text):
    assert says(text).bound(2.0) >= 1.5 * len(text)


def test_a_denser_model_has_a_higher_bound():
    size = says("Привет" * 100)

    assert size.bound(1.0) > 1.8 * size.bound(2.0)


def judged(said, own=(10, 10), produced=30, most=0, limit=1000, may_think=False, reasoning=0):
    counted = {**usage(*said), "completion_tokens_details": {"reasoning_tokens": reasoning}}
    return is_plausible(counted, usage(*own), produced=produced, most=most, limit=limit, may_think=may_think)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((10, 10), True),
        ((140, 90), True),
        ((141, 90), False),
        ((140, 91), False),
        ((0, 10), False),
        ((10, 0), False),
    ],
)
def test_a_vendor_may_count_up_to_four_times_our_own(said, expected):
    assert judged(said) is expected


def test_a_vendor_may_not_count_more_than_it_was_allowed():
    assert judged((10, 40), limit=40)
    assert not judged((10, 41), limit=40)


def test_thoughts_out_of_sight_count_where_a_model_may_have_them():
    assert judged((10, 800), may_think=True, reasoning=780)
    assert not judged((10, 800), may_think=False, reasoning=780)
    assert not judged((10, 1001), may_think=True, reasoning=990)


def test_no_answer_takes_no_tokens():
    assert judged((10, 0), own=(10, 0), produced=0)


def test_a_vendor_may_count_what_the_prompt_was_bounded_by():
    assert judged((500, 10), most=500)
    assert not judged((501, 10), most=500)


def test_a_vendor_cannot_fit_an_answer_into_fewer_tokens_than_any_can():
    assert judged((10, 10), produced=10 * LONGEST_TOKEN)
    assert not judged((10, 10), produced=10 * LONGEST_TOKEN + 1)


# --- What is sent to vendors is counted, however it is dressed ---------------------------------------------


@pytest.mark.parametrize(
    "chat",
    [
        {"messages": [{"role": "user", "type": "image_url", "content": "слово " * 5_000}]},
        {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [
                {"function": {"name": "f", "parameters": {"type": "image_url", "a": "слово " * 5_000}}}
            ],
        },
        {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"function": {"name": "f", "parameters": {"enum": list(range(10_000))}}}],
        },
        {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"function": {"name": "f"}}],
            "functions": [{"name": "g", "description": "слово " * 5_000}],
        },
    ],
    ids=["message", "schema", "numbers", "functions beside tools"],
)
def test_nothing_that_vendors_read_as_text_hides_from_the_count(chat):
    assert measure(chat).estimate() >= 10_000


@pytest.mark.parametrize(
    ("characters", "pieces", "over"),
    [(100, 110, False), (100, 111, True), (111 * LONGEST_TOKEN, 1, True), (110 * LONGEST_TOKEN, 1, False)],
)
def test_an_answer_is_over_its_limit_when_it_must_be(characters, pieces, over):
    assert is_over(100, characters, pieces) is over


def test_texts_that_become_vectors_count_by_themselves():
    size = measure_texts(["раз", "два три", "🦔"])

    assert (size.characters, size.texts, size.longest, size.together) == (11, 3, 7, 7)
    assert size.estimate() == 4 + 3 * 2
    assert size.bound(2.0) == 6 + 2 + 3 * 8 + 16


def test_all_of_a_chat_has_to_fit_together():
    size = measure({"messages": [{"role": "user", "content": "раз"}, {"role": "user", "content": "два"}]})

    assert (size.together, size.texts) == (6, 0)
