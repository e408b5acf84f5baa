"""A thousand conversations: every stream keeps the order of events, and says what the whole answer says."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tests.e2e.conversations import COMPLETIONS, Conversation, conversation
from tests.e2e.installation import Installation, Server
from tests.e2e.market import MICRO, new_client
from tests.e2e.talk import call
from tests.stream_order import Called, Illegal, Said, Told, told_by

CONVERSATIONS = 1000
# At once; more would only wait for each other.
AT_ONCE = 16


@dataclass(frozen=True)
class Outcome:
    """What became of one conversation."""

    number: int
    is_stream: bool = False
    is_broken: bool = False
    is_compared: bool = False
    wrong: str = ""


async def heard(
    server: Server, key: str, body: dict[str, Any], path: str, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers."""
    line = await call(server, key, body, path=path, Connection="close", **headers)
    status, head = await line.head()
    if "content-length" in head:
        said = await line.rest()
    else:
        said = b"".join([piece async for piece in line.pieces()])
    await line.close()
    return status, said, head


async def held(server: Server, key: str, talk: Conversation) -> Outcome:
    """Put the question both ways, and look at the answers."""
    trace = {"X-XRouter-Trace": "route"} if talk.with_trace else {}
    status, events, head = await heard(server, key, talk.streamed, talk.path, **trace)
    if not head["content-type"].startswith("text/event-stream"):
        return Outcome(talk.number, wrong=_refusal(talk, status, events))
    try:
        told = told_by(events, form=talk.form, include_usage=talk.include_usage, with_trace=talk.with_trace)
    except Illegal as exc:
        return Outcome(talk.number, is_stream=True, wrong=str(exc))
    status, body, head = await heard(server, key, talk.fields, talk.path, **trace)
    if (
        status != 200
        and told.error is not None
        and _is_unfit(told.error)
        and _is_unfit(json.loads(body)["error"])
    ):
        return Outcome(talk.number, is_stream=True, is_broken=True)
    if status != 200:
        return Outcome(talk.number, is_stream=True, wrong=f"the whole answer is a {status}: {body.decode()}")
    wrong = compared(talk, told, json.loads(body), was_repaired="x-xrouter-repairs" in head)
    return Outcome(
        talk.number,
        is_stream=True,
        is_broken=told.error is not None,
        is_compared=talk.is_comparable or talk.is_curtailed,
        wrong=wrong,
    )


def _is_unfit(error: dict[str, Any]) -> bool:
    """Whether the model did not keep to a form, though it was asked again."""
    return bool(error["metadata"]["error_type"] == "response_format_not_kept")


def _refusal(talk: Conversation, status: int, body: bytes) -> str:
    """What is wrong with an answer that is no stream: only a fault excuses it."""
    if talk.is_comparable or status < 500 or "error" not in json.loads(body):
        return f"no stream but a {status}: {body.decode()}"
    return ""


def compared(talk: Conversation, told: Told, whole: dict[str, Any], *, was_repaired: bool) -> str:
    """How the stream differs from the whole answer to the same question; "" if it does not.

    Where the model ``was_repaired``, a stream has the thoughts of its first try, an answer those of its last.
    """
    if not (talk.is_comparable or talk.is_curtailed):
        return ""
    if told.error is not None and talk.is_comparable:
        return f"an error: {told.error}"
    streamed, said = told.answer, _said(talk, whole["choices"][0])
    for one, prompt in ((streamed, talk.streamed.get("prompt")), (said, talk.fields.get("prompt"))):
        if talk.fields.get("echo"):
            if not one.content.startswith(prompt):
                return "no echo"
            one.content = one.content.removeprefix(prompt)
    if told.error is not None:
        is_beginning = said.content.startswith(streamed.content) and len(streamed.calls) <= len(said.calls)
        return "" if is_beginning else f"streamed {streamed}, whole {said}"
    if streamed.finish == "length" and said.calls:
        # The twins mind no limit in their calls: a stream is cut there, a whole answer is not.
        said.finish, said.calls = "length", said.calls[: len(streamed.calls)]
        if streamed.calls:
            said.calls[-1].arguments = streamed.calls[-1].arguments
    one, other = spoken(streamed), spoken(said)
    if was_repaired:
        del one["reasoning"]
    differing = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
    return f"streamed and whole differ: {differing}" if differing else ""


def spoken(said: Said) -> dict[str, Any]:
    """What a customer has in the end; ids are new each time."""
    calls = [(call.name, call.arguments) for call in said.calls]
    texts = {"content": said.content, "reasoning": said.reasoning, "refusal": said.refusal}
    return {**texts, "calls": calls, "finish": said.finish}


def _said(talk: Conversation, choice: dict[str, Any]) -> Said:
    """A whole answer in the checker's words."""
    said = Said(finish=choice["finish_reason"])
    if talk.path == COMPLETIONS:
        said.content, said.reasoning = choice["text"], choice.get("reasoning", "")
        return said
    message = choice["message"]
    said.content, said.reasoning = message["content"] or "", message.get("reasoning") or ""
    functions = [made["function"] for made in message.get("tool_calls") or ()]
    if "function_call" in message:
        functions.append(message["function_call"])
    said.calls = [Called("", one["name"], one["arguments"]) for one in functions]
    return said


async def all_held(doors: Sequence[Server], key: str, numbers: range) -> list[Outcome]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Outcome:
        async with gate, asyncio.timeout(30):
            return await held(doors[number % len(doors)], key, conversation(number))

    return list(await asyncio.gather(*map(one, numbers)))


async def test_every_stream_keeps_the_order_and_says_what_the_whole_answer_says(
    installation: Installation, express: Server, framework: Server
):
    key = new_client(installation, 100_000 * MICRO).key
    began = perf_counter()

    outcomes = await all_held([*[express] * 9, framework], key, range(CONVERSATIONS))

    seconds = perf_counter() - began
    streams = sum(one.is_stream for one in outcomes)
    print(  # noqa: T201
        f"\n{streams} streams, {sum(one.is_compared for one in outcomes)} compared,"
        f" {sum(one.is_broken for one in outcomes)} broken off, in {seconds:.1f} s"
    )
    wrong = [f"{one.number}: {one.wrong}" for one in outcomes if one.wrong]
    assert not wrong, f"{len(wrong)} conversations:\n" + "\n".join(wrong[:200])
    assert streams > 0.9 * CONVERSATIONS
