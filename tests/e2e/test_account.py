"""What an account is told, through the official SDK: the key, the wallet, the record of a generation."""

import json
from decimal import Decimal
from typing import Any

import pytest
from openai import AuthenticationError, NotFoundError, OpenAI

from tests.e2e.installation import Installation, Server
from tests.e2e.market import new_client
from tests.e2e.talk import chat

CLIENT = "Василёк"
HALF_A_MICRO_ROUBLE = Decimal("0.0000005")


def told(sdk: OpenAI, path: str, **params: str) -> dict[str, Any]:
    answer: Any = sdk.get(path, cast_to=object, options={"params": params})
    return dict(answer["data"])


def exactly(roubles: float) -> Decimal:
    """The number that was written in JSON."""
    return Decimal(str(roubles))


@pytest.fixture(scope="module")
def eves_key(installation: Installation) -> str:
    return new_client(installation, 0).key


@pytest.fixture(scope="module")
def own_key(installation: Installation) -> str:
    """Of a client whose wallet no other tests touch."""
    about = ["--client", CLIENT, "--label", "e2e", "--plan", "paid", "--balance", "100", "--json"]
    return str(json.loads(installation.manage("create_key", *about))["key"])


@pytest.fixture
def ours(sdk: OpenAI, own_key: str) -> OpenAI:
    return sdk.with_options(api_key=own_key)


def test_a_request_is_told_of_afterwards_to_the_micro_rouble(installation: Installation, ours: OpenAI):
    before = told(ours, "/credits")

    answer = ours.chat.completions.create(**chat("gigachat/pro", "Столица Карелии?"), user="ivan")
    installation.generation(answer.id)
    record, after = told(ours, "/generation", id=answer.id), told(ours, "/credits")

    assert answer.usage is not None
    assert (record["id"], record["model"], record["user"]) == (answer.id, "gigachat/pro", "ivan")
    assert (record["tokens_prompt"], record["tokens_completion"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert record["key"]["label"] == "e2e"
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["ok"]
    spent = exactly(after["total_usage"]) - exactly(before["total_usage"])
    assert spent == exactly(record["total_cost"])
    assert abs(Decimal(record["cost_details"]["sum"]) - spent) <= HALF_A_MICRO_ROUBLE
    assert exactly(after["balance"]) == exactly(after["total_credits"]) - exactly(after["total_usage"])


def test_a_key_is_told_of_itself(ours: OpenAI):
    key = told(ours, "/auth/key")

    assert (key["label"], key["client"], key["plan"]) == ("e2e", CLIENT, "paid")
    assert key["rate_limit"]["interval"] == "1s"
    assert key == told(ours, "/key")


def test_eve_is_told_nothing(installation: Installation, ours: OpenAI, eves_key: str):
    mine = ours.chat.completions.create(**chat("gigachat/pro", "Привет")).id
    installation.generation(mine)
    eve = ours.with_options(api_key=eves_key)

    with pytest.raises(NotFoundError) as others:
        told(eve, "/generation", id=mine)
    with pytest.raises(NotFoundError) as nobodys:
        told(eve, "/generation", id="gen-" + "0" * 32)

    bodies = [dict(caught.value.body, metadata=None) for caught in (others, nobodys)]
    assert bodies[0] == bodies[1]
    assert told(eve, "/credits")["balance"] == 0


@pytest.mark.parametrize("path", ["/auth/key", "/credits", "/generation"])
def test_a_wrong_key_is_refused_as_everywhere(door: Server, path: str):
    with (
        OpenAI(base_url=door.base_url, api_key="xr-live-wrong", max_retries=0) as stranger,
        pytest.raises(AuthenticationError) as caught,
    ):
        told(stranger, path, id="gen-1")

    assert caught.value.status_code == 401
