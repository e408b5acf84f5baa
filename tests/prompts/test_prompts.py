"""What must hold of the sixty prompts, over real processes and every wire."""

from collections import Counter
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from tests.prompts.measure import WIRES, Server, _collected, served, share, verdicts
from tests.prompts.prompts import GOOD, prompts

CARELESS = "[[sloppy=1]]"
# Percent of the careless model's answers that were good when this was written: calls as they are read, JSON
# with what asking again makes of it. Without that it is 33; in a stream what was shown has to stand.
READ = {"calls": 73, "answers": 83}
READ_STREAMED = {"calls": 73, "answers": 66}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as made:
        yield made


def test_there_are_sixty_prompts_and_their_expectations_can_be_met():
    asked = prompts()

    assert Counter(prompt.kind for prompt in asked) == {"calls": 30, "answers": 30}
    assert len({(prompt.text, str(prompt.fields)) for prompt in asked}) == 60
    assert sum(prompt.kind == "calls" and not prompt.calls for prompt in asked) >= 5
    for prompt in asked:
        for call in prompt.calls:
            schema = prompt.functions[call["name"]]["parameters"]
            assert Draft202012Validator(schema).is_valid(call["arguments"]), prompt.text
        if prompt.schema is not None:
            Draft202012Validator.check_schema(prompt.schema)


def test_a_stream_without_its_end_is_no_answer():
    event = 'data: {"choices": [{"delta": {"content": "{}"}}]}\n\n'

    assert _collected(event) is None
    assert _collected(f"{event}data: [DONE]\n\n") == {"content": "{}", "tool_calls": []}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_model_that_keeps_to_the_prompt_is_always_understood(server: Server, wire: str, is_streamed: bool):
    told = verdicts(server, f"plain/{wire}", "", is_streamed=is_streamed)

    assert [(prompt.text, verdict) for prompt, verdict in told if verdict != GOOD] == []


@pytest.mark.parametrize("wire", WIRES)
def test_a_careless_model_is_understood_and_asked_again(server: Server, wire: str):
    whole = verdicts(server, f"plain/{wire}", CARELESS, is_streamed=False)
    streamed = verdicts(server, f"plain/{wire}", CARELESS, is_streamed=True)

    # It was careless indeed.
    assert all(share(told, "calls") < 100 for told in (whole, streamed))
    calls = [[told for told in each if told[0].kind == "calls"] for each in (whole, streamed)]
    assert calls[0] == calls[1]
    assert {verdict for prompt, verdict in calls[0] if not prompt.calls} == {GOOD}
    assert {kind: share(whole, kind) >= least for kind, least in READ.items()} == dict.fromkeys(READ, True)
    assert {kind: share(streamed, kind) >= least for kind, least in READ_STREAMED.items()} == dict.fromkeys(
        READ_STREAMED, True
    )


@pytest.mark.parametrize("wire", WIRES)
def test_no_careless_answer_by_a_schema_is_delivered_wrong(server: Server, wire: str):
    for is_streamed in (False, True):
        told = verdicts(server, f"plain/{wire}", CARELESS, is_streamed=is_streamed)

        wrong = {verdict for prompt, verdict in told if prompt.kind == "answers"} - {GOOD}
        assert wrong <= {"ошибка 502", "поток оборвался"}
