"""What must hold of the sixty prompts, over real processes and every wire."""

from collections import Counter
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from tests.prompts.measure import WIRES, Server, served, verdicts
from tests.prompts.prompts import GOOD, prompts

CARELESS = "[[sloppy=1]]"
# Percent of the careless model's answers that XRouter could read when this was written, without asking again.
READ = {"calls": 73, "answers": 33}


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


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_model_that_keeps_to_the_prompt_is_always_understood(server: Server, wire: str, is_streamed: bool):
    told = verdicts(server, f"plain/{wire}", "", is_streamed=is_streamed)

    assert [(prompt.text, verdict) for prompt, verdict in told if verdict != GOOD] == []


@pytest.mark.parametrize("wire", WIRES)
def test_a_careless_model_is_understood_alike_whole_and_streamed(server: Server, wire: str):
    whole = verdicts(server, f"plain/{wire}", CARELESS, is_streamed=False)
    streamed = verdicts(server, f"plain/{wire}", CARELESS, is_streamed=True)

    assert whole == streamed
    for kind, least in READ.items():
        mine = [verdict for prompt, verdict in whole if prompt.kind == kind]
        assert 100 * mine.count(GOOD) >= least * len(mine)
    assert {verdict for prompt, verdict in whole if prompt.kind == "calls" and not prompt.calls} == {GOOD}
