"""OpenAI's wire in three flavours: MTS AI's strict hub, GEN-T on vLLM, and the plain one."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from providers.twins.answers import call_tokens, tokens
from providers.twins.dialect import ABSENT, Bill, Cut, Dialect, Operation, Visit, json_object, vector
from providers.twins.directives import directives
from providers.twins.shapes import (
    Answer,
    Call,
    Frame,
    Headers,
    JsonObject,
    Message,
    Part,
    Question,
    Refused,
    Reply,
    Tool,
    Usage,
    dumps,
    json_reply,
)

ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "max_tokens": (1, 2**31),
    "max_completion_tokens": (1, 2**31),
    "top_logprobs": (0, 20),
}
IMAGE = "[картинка]"
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
        items = [
            {"object": "embedding", "index": index, "embedding": vector(text, size)}
            for index, text in enumerate(texts)
        ]
        count = sum(map(tokens, texts))
        usage = {"prompt_tokens": count, "total_tokens": count}
        return json_reply({"object": "list", "data": items, "model": body.get("model"), "usage": usage})

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
        messages = self._messages(body.get("messages"))
        tools = self._tools(body.get("tools") or [])
        said = [message.text for message in messages if message.role == "user"]
        return Question(
            model=model,
            messages=messages,
            directives=directives((said or [messages[-1].text])[-1]),
            tools=tools,
            choice=self._choice(body.get("tool_choice"), tools),
            parallel=body.get("parallel_tool_calls", True) is not False,
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            stop=_stops(body.get("stop")),
            schema=self._schema(body.get("response_format")),
            stream=bool(body.get("stream")),
            thinking=self.thinks(body, model),
            copies=body.get("n") or 1,
            wants=self.wants(body),
        )

    def check(self, body: JsonObject, model: str) -> None:
        """Raises Refused for values out of range and for contradictions."""
        for name, (low, high) in RANGES.items():
            value = body.get(name)
            if value is not None and (not _is_number(value) or not low <= value <= high):
                raise self.refused(400, f"Invalid value for '{name}': must be between {low} and {high}.")
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

    def _messages(self, messages: Any) -> tuple[Message, ...]:
        if not isinstance(messages, list) or not messages:
            raise self.refused(400, "'messages' must be a non-empty array.")
        waiting: list[str] = []
        for index, message in enumerate(messages):
            waiting = self._check_message(message, index, waiting)
        if waiting:
            raise self.refused(400, f"No tool message for tool_call_id {waiting[0]}.")
        return tuple(_message(message) for message in messages)

    def _check_message(self, message: Any, index: int, waiting: list[str]) -> list[str]:
        """Ids of the calls whose results must still come."""
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise self.refused(400, f"Invalid role in 'messages[{index}]'.")
        if role == "tool":
            return self._check_result(message, waiting)
        if waiting:
            raise self.refused(400, f"No tool message for tool_call_id {waiting[0]}.")
        calls = message.get("tool_calls") or []
        if not _is_content(message.get("content")) and not (role == "assistant" and calls):
            raise self.refused(400, f"Invalid content in 'messages[{index}]'.")
        return [self._call_id(call, index) for call in calls]

    def _check_result(self, message: JsonObject, waiting: list[str]) -> list[str]:
        if message.get("tool_call_id") not in waiting:
            raise self.refused(400, "A tool message must follow a message with its 'tool_calls'.")
        if not _is_content(message.get("content")):
            raise self.refused(400, "A tool message must have content.")
        return [one for one in waiting if one != message["tool_call_id"]]

    def _call_id(self, call: Any, index: int) -> str:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            raise self.refused(400, f"Invalid 'messages[{index}].tool_calls': arguments must be a string.")
        if not call.get("id") or call.get("type") != "function" or not function.get("name"):
            raise self.refused(400, f"Invalid 'messages[{index}].tool_calls'.")
        return str(call["id"])

    def _tools(self, tools: Any) -> tuple[Tool, ...]:
        if not isinstance(tools, list) or not all(_is_tool(tool) for tool in tools):
            raise self.refused(400, "Invalid 'tools'.")
        functions = (tool["function"] for tool in tools)
        return tuple(
            Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions
        )

    def _choice(self, choice: Any, tools: tuple[Tool, ...]) -> str:
        if choice is None:
            return "auto"
        if not tools:
            raise self.contradiction("'tool_choice' is only allowed when 'tools' are specified.")
        name = choice.get("function", {}).get("name") if isinstance(choice, dict) else choice
        if name not in {"auto", "none", "required", *(tool.name for tool in tools)}:
            raise self.refused(400, "Invalid 'tool_choice'.")
        return str(name)

    def _schema(self, wanted: Any) -> JsonObject | None:
        kind = (wanted or {"type": "text"}).get("type")
        if kind == "text":
            return None
        if kind == "json_object":
            return {}
        inner = wanted.get("json_schema") if kind == "json_schema" else None
        if not isinstance(inner, dict) or not inner.get("name") or not isinstance(inner.get("schema"), dict):
            raise self.refused(400, "Invalid 'response_format'.")
        return dict(inner["schema"])

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
        message: JsonObject = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.reasoning:
            message[self.reasoning_field] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [self._call(call) for call in answer.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": _logprobs(answer.text) if question.wants["logprobs"] else None,
            "finish_reason": self._finish(question, answer),
        }

    def _finish(self, question: Question, answer: Answer) -> str:
        # A named choice ends with "stop", at OpenAI and at vLLM alike.
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
            yield Frame(self.usage_event(question, bill, envelope), Part.USAGE)
        yield Frame(self.done, Part.DONE)

    usage_on_finish: ClassVar[bool] = False
    null_usage: ClassVar[bool] = True  # "usage": null on all other events when usage is asked for
    blank_names: ClassVar[bool] = False  # later fragments of a call repeat id, type and name as ""

    def usage_event(self, question: Question, bill: Bill, envelope: JsonObject | None = None) -> bytes:
        """The event with nothing but usage."""
        body = {**(envelope or self._envelope(question, "chat.completion.chunk")), "choices": []}
        usage = bill.total()
        return self.event(body if usage is ABSENT else {**body, "usage": usage})

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
        yield self._frame(Part.FINISH, index, {}, finish=self._dialect._finish(self._question, answer))

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


class MtsAI(OpenAI):
    """MWS Model Hub: refuses what it does not know, symbolic codes, usage on the finish event."""

    family = "mts-ai"
    title = "MTS AI"
    usage_on_finish = True
    null_usage = False
    blank_names = True
    context = 131_072
    owner = "mws"
    models = ("mws-gpt-alpha", "qwen3-32b", "glm-4.6-357b", "kimi-k2-instruct", "cotype-pro-vl-32b", "bge-m3")

    fields: ClassVar[frozenset[str]] = frozenset(
        {
            "model", "messages", "temperature", "max_completion_tokens", "stream", "stream_options",
            "tools", "tool_choice", "response_format", "logprobs", "top_logprobs", "reasoning_effort",
        }
    )  # fmt: skip
    embedders: ClassVar[tuple[str, ...]] = ("bge", "BAAI/", "qwen3-embedding")
    without_tools: ClassVar[tuple[str, ...]] = ("cotype", "gemma")
    reasoners: ClassVar[tuple[str, ...]] = ("QwQ", "deepseek", "qwen3-32b", "qwen3-235b", "glm", "kimi-k2-6")
    longest: ClassVar[int] = 32_768  # tokens of an answer

    codes: ClassVar[Mapping[int, str]] = {
        400: "INVALID_PARAMETER",
        401: "UNAUTHORIZED",
        403: "ACCESS_DENIED",
        404: "DEPLOYMENT_NOT_FOUND",
        429: "RATE_LIMIT_EXCEEDED",
    }

    def error(self, status: int, message: str) -> JsonObject:
        code = self.codes.get(status, "INTERNAL_ERROR" if status >= 500 else "VALIDATION_FAILED")
        return {"error": {"code": code, "message": message}}

    def coded(self, code: str, message: str) -> Refused:
        return Refused(400, {"error": {"code": code, "message": message}})

    def contradiction(self, message: str) -> Refused:
        return self.coded("INVALID_PARAMETER_COMBINATION", message)

    def check(self, body: JsonObject, model: str) -> None:
        if unknown := sorted(set(body) - self.fields):
            raise self.coded("INVALID_PARAMETER", f"Unknown parameter: {unknown[0]}")
        if model.startswith(self.embedders):
            raise self.coded("UNSUPPORTED_ACTION", "The model does not support chat completions")
        if body.get("tools") and model.startswith(self.without_tools):
            raise self.coded("TOOL_CALLING_UNSUPPORTED", "The model does not support tool calling")
        if "reasoning_effort" in body and not model.startswith(self.reasoners):
            raise self.coded("REASONING_UNSUPPORTED", "The model does not support reasoning")
        if (body.get("max_completion_tokens") or 0) > self.longest:
            raise self.coded("MAX_TOKENS_EXCEEDED", f"max_completion_tokens must be at most {self.longest}")
        super().check(body, model)

    def _embeddings(self, visit: Visit) -> Reply:
        model = (json_object(visit.body) or {}).get("model", "")
        if not str(model).startswith(self.embedders):
            self.authorize(visit)
            raise self.coded("UNSUPPORTED_ACTION", "The model does not support embeddings")
        return super()._embeddings(visit)


VLLM_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class GenT(OpenAI):
    """A vLLM server with T-Bank's weights: integer codes, hermes tools, thinking unless switched off."""

    family = "gen-t"
    title = "GEN-T"
    needs_key = False
    null_usage = False
    context = 40_960
    owner = "vllm"
    models = ("t-tech/T-pro-it-2.0", "t-tech/T-pro-it-2.1", "t-tech/T-lite-it-2.1", "t-tech/T-lite-it-1.0")

    def error(self, status: int, message: str) -> JsonObject:
        if status == 401:
            return {"error": "Unauthorized"}
        kind = VLLM_TYPES.get(status, VLLM_TYPES[400] if status < 500 else VLLM_TYPES[500])
        return {"error": {"message": message, "type": kind, "param": None, "code": status}}

    def too_long(self, count: int) -> Refused:
        text = (
            f"This model's maximum context length is {self.context} tokens. However, you requested {count}."
        )
        return self.refused(400, text)

    def headers(self, visit: Visit) -> Headers:
        return (("server", "uvicorn"),)

    def thinks(self, body: JsonObject, model: str) -> bool:
        """T-pro 2.0 thinks unless told not to; the others never do."""
        template = body.get("chat_template_kwargs") or {}
        return model.rpartition("/")[2].startswith("T-pro-it-2.0") and template.get("enable_thinking", True)

    def call_id(self) -> str:
        return f"chatcmpl-tool-{uuid.uuid4().hex}"

    def _listed(self, name: str) -> JsonObject:
        more: JsonObject = {"root": name, "parent": None, "max_model_len": self.context, "permission": []}
        return {**super()._listed(name), **more}


def _message(message: JsonObject) -> Message:
    role = {"tool": "result", "function": "result", "developer": "system"}.get(
        message["role"], message["role"]
    )
    calls = message.get("tool_calls")
    return Message(role, _text(message.get("content")) + (dumps(calls).decode() if calls else ""))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", IMAGE) for part in content)
    return content or ""


def _is_content(content: Any) -> bool:
    if isinstance(content, list):
        return bool(content) and all(isinstance(part, dict) and part.get("type") for part in content)
    return isinstance(content, str)


def _is_tool(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and tool.get("type") == "function" and bool(function.get("name"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _stops(stop: Any) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _logprobs(text: str) -> JsonObject:
    """One entry for each piece of four characters, all equally sure."""
    cuts = [text[at : at + 4] for at in range(0, len(text), 4)]
    return {"content": [_logprob(piece) for piece in cuts], "refusal": None}


def _logprob(piece: str) -> JsonObject:
    return {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}
