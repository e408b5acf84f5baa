"""Text completions through the official SDK, at both doors."""

from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.installation import Installation, Server, Twins
from tests.e2e.talk import MODELS, post

PROMPT = "Расскажи о Петрозаводске"


@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_what_a_chat_would_say(sdk: OpenAI, model: str):
    messages: list[Any] = [{"role": "user", "content": PROMPT}]
    said = sdk.chat.completions.create(model=model, messages=messages, max_tokens=200)

    text = sdk.completions.create(model=model, prompt=PROMPT, max_tokens=200)

    (choice,) = text.choices
    assert (text.object, text.model) == ("text_completion", model)
    assert text.id.startswith("gen-")
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert choice.text == said.choices[0].message.content
    assert text.usage.total_tokens == said.usage.total_tokens
    assert text.usage.model_extra["cost"] > 0
    for usage in (text.usage, said.usage):  # clients read them without a look whether they are there
        assert usage.prompt_tokens_details.cached_tokens >= 0
        assert usage.completion_tokens_details.reasoning_tokens >= 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_says_the_same(sdk: OpenAI, model: str, echo: bool):
    asked: Any = {"model": model, "prompt": [PROMPT], "max_tokens": 200, "echo": echo}
    whole = sdk.completions.create(**asked)

    *pieces, last = sdk.completions.create(**asked, stream=True, stream_options={"include_usage": True})

    choices = [piece.choices[0] for piece in pieces]
    assert {(piece.object, piece.id, piece.model) for piece in pieces} == {
        ("text_completion", last.id, model)
    }
    assert "".join(choice.text for choice in choices) == whole.choices[0].text
    assert [c.finish_reason for c in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert (last.choices, last.usage.total_tokens) == ([], whole.usage.total_tokens)
    assert last.usage.completion_tokens_details.reasoning_tokens >= 0
    assert last.usage.prompt_tokens_details.cached_tokens >= 0
    assert all(piece.usage is None for piece in pieces)
    assert choices[0].text == PROMPT if echo else not whole.choices[0].text.startswith(PROMPT)
    assert not any("delta" in choice.model_extra for choice in choices)


def test_an_answer_of_unsaid_length_is_short(sdk: OpenAI, installation: Installation):
    text = sdk.completions.create(model="solo/openai", prompt="Перескажи «Войну и мир» " * 20)

    row = installation.generation(text.id)
    assert text.choices[0].finish_reason == "length"
    assert text.usage.completion_tokens <= 16
    assert (row["model_requested"], row["status"], row["tokens_completion"]) == (
        "solo/openai",
        "ok",
        text.usage.completion_tokens,
    )


def test_what_is_set_in_a_stop_is_cut_off_and_the_echo_is_not(sdk: OpenAI):
    asked: Any = {"model": "gigachat/pro", "max_tokens": 200, "stop": ["Петрозаводске"], "echo": True}
    whole = sdk.completions.create(**asked, prompt=PROMPT)
    pieces = sdk.completions.create(**asked, prompt=PROMPT, stream=True)

    assert whole.choices[0].text.startswith(PROMPT)
    assert whole.choices[0].text.count("Петрозаводске") == 1
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "конец"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"n": 3}, "n"),
        ({"logprobs": 2}, "logprobs"),
        ({"prompt": ["а", "б"]}, "prompt"),
        ({"prompt": [[1, 2, 3]]}, "prompt"),
    ],
)
def test_what_cannot_be_done_is_a_400_that_names_it(sdk: OpenAI, fields: dict[str, Any], param: str):
    asked = {"model": "solo/openai", "prompt": PROMPT, **fields}

    with pytest.raises(openai.BadRequestError) as refused:
        sdk.completions.create(**asked)

    assert refused.value.param == param
    assert refused.value.body["metadata"]["error_type"] == "invalid_request"


def test_errors_are_a_chats(sdk: OpenAI, door: Server):
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.completions.create(model="gigachat/prr", prompt=PROMPT)
    strangers = post(door, "xr-live-nobody", {"model": "solo/openai", "prompt": "а"}, path="/v1/completions")
    broken = post(door, "", b"{", path="/v1/completions")

    assert "gigachat/pro" in unknown.value.message
    assert (strangers.status_code, broken.status_code) == (401, 401)


def test_headers_tell_what_a_chats_do(sdk: OpenAI):
    raw = sdk.completions.with_raw_response.create(
        model="gigachat/pro", prompt=PROMPT, max_tokens=50, seed=1, logit_bias={"1": 1}
    )

    assert set(raw.headers["x-xrouter-dropped"].split(", ")) == {"seed", "logit_bias"}
    assert raw.headers["x-xrouter-provider"].startswith("gigachat")
    assert float(raw.headers["x-xrouter-cost"]) == raw.parse().usage.model_extra["cost"]


@pytest.mark.parametrize("stream", [False, True])
def test_headers_name_what_only_a_chat_has(sdk: OpenAI, installation: Installation, stream: bool):
    fields = {
        "store": True,
        "service_tier": "flex",
        "verbosity": "low",
        "transforms": [],
        "plugins": [{"id": "web"}],
    }

    raw = sdk.completions.with_raw_response.create(
        model="solo/openai",
        prompt=PROMPT,
        max_tokens=5,
        stream=stream,
        extra_body={**fields, "metadata": {"а": "б"}},
    )

    named = {"store", "service_tier", "verbosity", "plugins", "metadata"}
    assert set(raw.headers["x-xrouter-dropped"].split(", ")) == named
    list(raw.parse()) if stream else raw.parse()
    assert set(installation.generation(raw.headers["x-generation-id"])["dropped_fields"]) == named


def test_another_provider_takes_over_unseen(sdk: OpenAI, twins: Twins):
    twins.order("http_503", family="openai")

    raw = sdk.completions.with_raw_response.create(model="pair/openai", prompt=PROMPT, max_tokens=50)

    assert (raw.headers["x-xrouter-provider"], raw.headers["x-xrouter-attempts"]) == ("b-openai", "2")
    assert raw.parse().choices[0].text


@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_that_breaks_says_so(sdk: OpenAI, echo: bool):
    prompt = f"{PROMPT} [[fault=cut.after=3]]"
    heard = []

    with pytest.raises(openai.APIError):
        for piece in sdk.completions.create(
            model="solo/openai", prompt=prompt, max_tokens=500, stream=True, echo=echo
        ):
            heard += [choice.text for choice in piece.choices]

    assert "".join(heard).startswith(prompt) is echo
    assert len(heard) > 1
