"""Whatever vendors send, in whatever pieces, customers get their events in the legal order."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters import ADAPTERS
from providers.emulation import EmulatedTools
from providers.errors import UpstreamError
from routing import legacy
from routing.emitter import Emitter
from routing.stops import StopCutter, cut_chunk
from routing.text_answers import OBJECT, TextEmitter
from tests.stream_order import told_by

HEAD = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
YANDEX_ENDS = ("PARTIAL", "PARTIAL", "PARTIAL", "FINAL", "TRUNCATED_FINAL", "CONTENT_FILTER", "TOOL_CALLS")
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]

words = st.sampled_from(
    [
        *(
            "",
            "а",
            "б в",
            "\n",
            "🦔",
            "стоп",
            "ст",
            "оп",
            "<think>",
            "</think>",
            "<tool_call>",
            "</tool_call>",
        ),
        *('{"name": "f", "arguments": {}}', '<tool_call>{"name": "g"}</tool_call>', "```json\n", "[DONE]"),
    ]
)
nothing = st.sampled_from([None, ""])
roles = st.sampled_from([None, "", "assistant"])
# A piece of a call as hosts write it: anything may be left out, repeated, null or blank.
fragments = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({}, optional={"name": st.sampled_from(["f", "g", "", None])})},
    optional={
        "index": st.sampled_from([0, 0, 1, 2, 5, None]),
        "id": st.sampled_from(["a", "b", "", None]),
        "type": st.sampled_from(["function", "", None]),
    },
)
usages = st.sampled_from([None, USAGE, {"prompt_tokens": "?"}])
reasons = st.sampled_from(
    [None, None, None, "stop", "length", "tool_calls", "function_call", "eos", "content_filter"]
)


def events(deltas):
    """Streams of chunks with these deltas, each of which may end the answer."""
    choice = st.fixed_dictionaries(
        {"delta": deltas}, optional={"index": st.just(0), "finish_reason": reasons}
    )
    some = st.lists(choice, max_size=1) | st.none()
    return st.lists(st.fixed_dictionaries({"choices": some}, optional={"usage": usages}), max_size=8)


speaking = st.fixed_dictionaries({}, optional={"role": roles, "content": words | st.none()})
refusing = st.fixed_dictionaries({"refusal": words}, optional={"content": nothing})
thinking = st.fixed_dictionaries({"reasoning_content": words}, optional={"role": roles})
calling = st.fixed_dictionaries(
    {"tool_calls": st.lists(fragments, max_size=3) | st.none()},
    optional={"role": roles, "content": nothing},
)
streams = st.tuples(events(thinking), events(speaking | refusing), events(calling), st.booleans())
gigachat_calls = st.fixed_dictionaries(
    {},
    optional={
        "content": st.just(""),
        "functions_state_id": st.just("s"),
        "function_call": st.just({"name": "f", "arguments": {}}),
    },
)
gigachat_streams = st.tuples(events(thinking), events(speaking), events(gigachat_calls), st.booleans())
plain = st.tuples(events(thinking), events(speaking), st.booleans())
borders = st.integers(1, 200)


def wire(told):
    """The vendor's bytes."""
    *parts, is_done = told
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for part in parts for event in part]
    return "".join([*lines, *["data: [DONE]\n\n"] * is_done]).encode()


def written(reader, data, size, emitter, *, stops=(), old=False):
    """The customer's events for a vendor's bytes in pieces of ``size``."""
    cutter = StopCutter(stops) if stops else None
    told = []

    def tell(chunks):
        for chunk in chunks:
            cut = cut_chunk(chunk, cutter) if cutter else chunk
            told.append(emitter.feed(legacy.legacy_chunk(cut) if old else cut))

    try:
        for at in range(0, len(data), size):
            tell(reader.feed(data[at : at + size]))
        if not reader.finished:
            tell(reader.end())
    except UpstreamError:
        return b"".join(told) + emitter.fail({"error": {"message": "Оборвалось", "code": 502}})
    return b"".join(told) + emitter.finish(USAGE)


@given(
    st.sampled_from(["openai", "gen-t", "mts-ai"]),
    streams,
    borders,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=150)
def test_hosts_that_speak_openai(name, told, size, counted, old, stopped):
    emitter = Emitter(HEAD, include_usage=counted)
    how = {"old": old, "stops": ("стоп", "[DONE]") if stopped else ()}

    stream = written(ADAPTERS[name].chat_stream(), wire(told), size, emitter, **how)

    told_by(stream, form="functions" if old else "chat", include_usage=counted)


yandex_answers = st.fixed_dictionaries(
    {
        "message": st.fixed_dictionaries(
            {},
            optional={
                "text": words,
                "toolCallList": st.just({"toolCalls": [{"functionCall": {"name": "f"}}] * 2}),
            },
        ),
        "status": st.sampled_from([f"ALTERNATIVE_STATUS_{end}" for end in YANDEX_ENDS]),
    }
)
yandex_lines = st.lists(st.tuples(st.lists(words, max_size=3).map("".join), yandex_answers), max_size=6)


@given(yandex_lines, borders, st.booleans(), st.booleans())
@settings(max_examples=150)
def test_yandexgpt(lines, size, old, stopped):
    text, data = "", b""
    for more, answer in lines:
        text += more
        message = {"text": text, **answer["message"]}
        result = {"alternatives": [{**answer, "message": message}], "usage": {"inputTextTokens": "1"}}
        data += json.dumps({"result": result}, ensure_ascii=False).encode() + b"\n"
    emitter = Emitter(HEAD, include_usage=True)

    stream = written(
        ADAPTERS["yandexgpt"].chat_stream(),
        data,
        size,
        emitter,
        old=old,
        stops=("стоп", "<") if stopped else (),
    )

    told_by(stream, form="functions" if old else "chat", include_usage=True)


@given(gigachat_streams, borders, st.booleans())
@settings(max_examples=150)
def test_gigachat(told, size, old):
    stream = written(
        ADAPTERS["gigachat"].chat_stream(), wire(told), size, Emitter(HEAD, include_usage=False), old=old
    )

    told_by(stream, form="functions" if old else "chat")


@given(plain, borders, st.booleans(), st.booleans())
@settings(max_examples=150)
def test_calls_in_the_text(told, size, old, stopped):
    reader = EmulatedTools(ADAPTERS["openai"], {"messages": [], "tools": TOOLS}).chat_stream()

    stream = written(
        reader,
        wire(told),
        size,
        Emitter(HEAD, include_usage=False),
        old=old,
        stops=("стоп", "<") if stopped else (),
    )

    told_by(stream, form="functions" if old else "chat")


@given(streams, borders, st.sampled_from(["", "эхо"]))
@settings(max_examples=150)
def test_texts(told, size, echo):
    emitter = TextEmitter({**HEAD, "object": OBJECT}, include_usage=True, echo=echo)

    stream = written(ADAPTERS["gen-t"].chat_stream(), wire(told), size, emitter)

    told_by(stream, form="text", include_usage=True)
