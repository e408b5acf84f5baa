import pytest

from routing import meter

CHAT = {"messages": [{"role": "user", "content": "Привет, как дела?"}]}


def usage(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def test_an_estimate_counts_messages_tools_and_the_answer():
    bare = meter.estimate(CHAT, 30)
    with_tools = meter.estimate({**CHAT, "tools": [{"function": {"name": "погода"}}]}, 30)

    assert bare["completion_tokens"] == 10
    assert bare["total_tokens"] == bare["prompt_tokens"] + 10
    assert with_tools["prompt_tokens"] > bare["prompt_tokens"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (usage(10, 10), True),
        (usage(140, 90), True),
        (usage(141, 90), False),
        (usage(140, 91), False),
        (usage(0, 10), False),
        (usage(10, 0), False),
    ],
)
def test_a_vendor_may_count_up_to_four_times_our_own(said, expected):
    assert meter.is_plausible(said, usage(10, 10)) is expected


def test_no_answer_takes_no_tokens():
    assert meter.is_plausible(usage(10, 0), usage(10, 0))
