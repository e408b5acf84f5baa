"""OpenAI's wire in three flavours: MTS AI's strict hub, GEN-T on vLLM, and the plain one."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import ClassVar

from providers.twins.answers import call_tokens, tokens
from providers.twins.dialect import ABSENT, Bill, Cut, Dialect, Operation, Visit
from providers.twins.directives import directives, split_model
from providers.twins.embeddings import in_base64, vector
from providers.twins.openai_question import Reading, stops
from providers.twins.shapes import (
    Answer,
    Call,
    Frame,
    Headers,
    JsonObject,
    Part,
    Question,
    Refused,
    Reply,
    Usage,
    dumps,
    json_object,
    json_reply,
)

TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class OpenAI(Dialect):
    """The plain flavour, as OpenAI itself answers; fields it does not know are ignored."""

    family = "openai"
    title = "OpenAI"
    piece = 2
    chat_path = "/v1/chat/completions"
    stream_type = "text/event-stream; charset=utf-8"

    models: ClassVar[tuple[str, ...]] = ("gpt-twin", "gpt-twin-mini")
    embedder_size: ClassVar[int] = 1024
    needs_key: ClassVar[bool] = True
    reasoning_field: ClassVar[str] = "reasoning_content"
    owner: ClassVar[str] = "twin"
    usage_on_finish: ClassVar[bool] = False  # instead of an event of its own
    null_usage: ClassVar[bool] = True  # "usage": null on all other events when usage is asked for
    blank_names: ClassVar[bool] = False  # later fragments of a call repeat id, type and name as ""
    out_of_order: ClassVar[bool] = False  # vectors: only their index tells whose they are
    empty_calls: ClassVar[bool] = False  # "tool_calls": [] where none is called

    def operations(self) -> Mapping[tuple[str, str], tuple[str, Operation]]:
        return {
            ("GET", "/v1/models"): ("models", self._models),
            ("GET", "/v1/models/"): ("models", self._model),
            ("POST", "/v1/embeddings"): ("embeddings", self._embeddings),
        }

    def error(self, status: int, message: str) -> JsonObject:
        kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": CODES.get(status)}}

    def error_event(self, message: str) -> bytes:
        return self.event(self.error(500, message)) + self.done

    def headers(self, visit: Visit) -> Headers:
        return (("x-request-id", f"req_{uuid.uuid4().hex}"), ("x-ratelimit-limit-requests", "10000"))

    def too_long(self, count: int) -> Refused:
        refused = self.refused(
            400, f"This model's maximum context length is {self.context} tokens, the request has {count}."
        )
        refused.body["error"]["code"] = "context_length_exceeded"
        return refused

    def authorize(self, visit: Visit) -> str:
        scheme, _, key = visit.headers.get("Authorization", "").partition(" ")
        if key == "bad" or (self.needs_key and (scheme != "Bearer" or not key)):
            raise self.refused(401, f"Incorrect API key provided: {key[:3]}***")
        return key

    # --- What is not chat -------------------------------------------------------------------------

    def _models(self, visit: Visit) -> Reply:
        self.authorize(visit)
        return json_reply({"object": "list", "data": [self._listed(name) for name in self.models]})

    def _model(self, visit: Visit) -> Reply:
        self.authorize(visit)
        return json_reply(self._listed(self._known_model(visit.path.removeprefix("/v1/models/"))))

    def _listed(self, name: str) -> JsonObject:
        return {"id": name, "object": "model", "created": 0, "owned_by": self.owner}

    def _embeddings(self, visit: Visit) -> Reply:
        self.authorize(visit)
        body = json_object(visit.body) or {}
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self.refused(400, "input must be a string or an array of strings")
        size = body.get("dimensions") or self.embedder_size
        write = in_base64 if body.get("encoding_format") == "base64" else list
        items = [
            {"object": "embedding", "index": index, "embedding": write(vector(text, size))}
            for index, text in enumerate(texts)
        ]
        count = sum(map(tokens, texts))
        usage = {"prompt_tokens": count, "total_tokens": count}
        model, _ = split_model(self.model_of(body))
        self._known_model(model)
        data = items[::-1] if self.out_of_order else items
        return json_reply({"object": "list", "data": data, "model": model, "usage": usage})

    # --- Chat: reading ----------------------------------------------------------------------------

    def model_of(self, body: JsonObject) -> str:
        model = body.get("model")
        return model if isinstance(model, str) else ""

    def _known_model(self, model: str) -> str:
        if not model or model.startswith("no-such"):
            raise self.refused(404, f"The model `{model}` does not exist.")
        return model

    def question(self, visit: Visit, body: JsonObject, model: str) -> Question:
        self._known_model(model)
        self.check(body, model)
        reading = Reading(self.refused, self.contradiction)
        messages = reading.messages(body.get("messages"))
        tools = reading.tools(body.get("tools") or [])
        said = [message.text for message in messages if message.role == "user"]
        return Question(
            model=model,
            messages=messages,
            directives=directives((said or [messages[-1].text])[-1]),
            tools=tools,
            choice=reading.choice(body.get("tool_choice"), tools),
            parallel=body.get("parallel_tool_calls", True) is not False,
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            stop=stops(body.get("stop")),
            schema=reading.schema(body.get("response_format")),
            stream=bool(body.get("stream")),
            thinking=self.thinks(body, model),
            copies=body.get("n") or 1,
            wants=self.wants(body),
        )

    def check(self, body: JsonObject, model: str) -> None:
        """Raises Refused for values out of range and for contradictions."""
        Reading(self.refused, self.contradiction).check_ranges(body)
        if body.get("stream_options") is not None and not body.get("stream"):
            raise self.contradiction(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            )
        if body.get("top_logprobs") is not None and not body.get("logprobs"):
            raise self.contradiction("The 'top_logprobs' parameter needs 'logprobs'.")

    def contradiction(self, message: str) -> Refused:
        return self.refused(400, message)

    def thinks(self, body: JsonObject, model: str) -> bool:
        """Whether the answer begins with reasoning."""
        return body.get("reasoning_effort") not in {None, "none"}

    def wants(self, body: JsonObject) -> JsonObject:
        options = body.get("stream_options") or {}
        named = isinstance(body.get("tool_choice"), dict)
        return {
            "usage": bool(options.get("include_usage")),
            "every_usage": bool(options.get("continuous_usage_stats")),
            "logprobs": bool(body.get("logprobs")),
            "named": named,
        }

    # --- Chat: answering --------------------------------------------------------------------------

    def usage(self, usage: Usage) -> JsonObject:
        details = {"reasoning_tokens": usage.reasoning} if usage.reasoning else None
        return {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
            "prompt_tokens_details": {"cached_tokens": usage.cached} if usage.cached else None,
            "completion_tokens_details": details,
        }

    def whole(self, question: Question, answers: tuple[Answer, ...], bill: Bill) -> JsonObject:
        choices = [self._choice_of(question, answer, index) for index, answer in enumerate(answers)]
        body = {**self._envelope(question, "chat.completion"), "choices": choices}
        usage = bill.total()
        return body if usage is ABSENT else {**body, "usage": usage}

    def _choice_of(self, question: Question, answer: Answer, index: int) -> JsonObject:
        # Where nothing else is said, no text is an empty one: an answer that was stopped at once.
        nothing = None if answer.calls or answer.reasoning else ""
        message: JsonObject = {"role": "assistant", "content": answer.text or nothing, "refusal": None}
        if answer.reasoning:
            message[self.reasoning_field] = answer.reasoning
        if answer.calls or self.empty_calls:
            message["tool_calls"] = [self._call(call) for call in answer.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": _logprobs(answer.text) if question.wants["logprobs"] else None,
            "finish_reason": self.finish(question, answer),
        }

    def finish(self, question: Question, answer: Answer) -> str:
        """The finish reason; a named choice ends with "stop", at OpenAI and at vLLM alike."""
        return "stop" if answer.calls and question.wants["named"] else answer.finish

    def _call(self, call: Call) -> JsonObject:
        function = {"name": call.name, "arguments": dumps(call.arguments).decode()}
        return {"id": self.call_id(), "type": "function", "function": function}

    def call_id(self) -> str:
        return f"call_{uuid.uuid4().hex[:24]}"

    def _envelope(self, question: Question, kind: str) -> JsonObject:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": question.model,
            "system_fingerprint": "twin",
        }

    def stream(
        self, question: Question, answers: tuple[Answer, ...], cut: Cut, bill: Bill
    ) -> Iterator[Frame]:
        envelope = self._envelope(question, "chat.completion.chunk")
        events = _Events(self, question, envelope, bill)
        for index, answer in enumerate(answers):
            yield from events.of(index, answer, cut)
        if question.wants["usage"] and not self.usage_on_finish:
            usage = bill.total()
            last = {**envelope, "choices": []}
            yield Frame(self.event(last if usage is ABSENT else {**last, "usage": usage}), Part.USAGE)
        yield Frame(self.done, Part.DONE)

    def call_events(self, index: int, call: Call) -> Iterator[JsonObject]:
        """The deltas of one call: its head, then its arguments in halves."""
        whole = self._call(call)
        arguments = whole["function"]["arguments"]
        head = {**whole, "index": index, "function": {"name": call.name, "arguments": ""}}
        blank: JsonObject = {"id": "", "type": ""} if self.blank_names else {}
        name = {"name": ""} if self.blank_names else {}
        half = len(arguments) // 2
        yield {"tool_calls": [head]}
        for part in (arguments[:half], arguments[half:]):
            yield {"tool_calls": [{"index": index, **blank, "function": {**name, "arguments": part}}]}


class _Events:
    """The events of one stream: they share an envelope and a running count of tokens."""

    def __init__(self, dialect: OpenAI, question: Question, envelope: JsonObject, bill: Bill) -> None:
        self._dialect, self._question, self._envelope, self._bill = dialect, question, envelope, bill
        self._sent = 0

    def of(self, index: int, answer: Answer, cut: Cut) -> Iterator[Frame]:
        yield self._frame(Part.OPEN, index, {"role": "assistant", "content": ""})
        for text in cut(answer.reasoning):
            yield self._frame(Part.CONTENT, index, {self._dialect.reasoning_field: text}, count=tokens(text))
        for text in cut(answer.text):
            yield self._frame(Part.CONTENT, index, {"content": text}, count=tokens(text), said=text)
        for number, call in enumerate(answer.calls):
            count = call_tokens(call)
            for delta in self._dialect.call_events(number, call):
                yield self._frame(Part.CONTENT, index, delta, count=count)
                count = 0
        yield self._frame(Part.FINISH, index, {}, finish=self._dialect.finish(self._question, answer))

    def _frame(
        self,
        part: Part,
        index: int,
        delta: JsonObject,
        *,
        count: int = 0,
        finish: str | None = None,
        said: str = "",
    ) -> Frame:
        self._sent += count
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        if self._question.wants["logprobs"]:
            choice["logprobs"] = _logprobs(said) if said else None
        body = {**self._envelope, "choices": [choice], **self._usage(part)}
        return Frame(self._dialect.event(body), part, count)

    def _usage(self, part: Part) -> JsonObject:
        wants, bill = self._question.wants, self._bill
        on_finish = self._dialect.usage_on_finish and part is Part.FINISH
        if bill.everywhere or (wants["usage"] and (wants["every_usage"] or on_finish)):
            usage = bill.total() if on_finish else bill.so_far(self._sent)
            return {} if usage is ABSENT else {"usage": usage}
        return {"usage": None} if wants["usage"] and self._dialect.null_usage else {}


def _logprobs(text: str) -> JsonObject:
    """One entry for each piece of four characters, all equally sure."""
    cuts = [text[at : at + 4] for at in range(0, len(text), 4)]
    return {"content": [_logprob(piece) for piece in cuts], "refusal": None}


def _logprob(piece: str) -> JsonObject:
    return {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}
