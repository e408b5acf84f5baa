"""Any host that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, Russian clouds.

Options (``Target.options``):

- ``max_tokens_field``: the one name the host knows, ``max_tokens`` (default) or ``max_completion_tokens``;
- ``drop_fields``: names taken out of the finished body, for a host that refuses them;
- ``usage_in_stream``: ``ask`` (default) sends ``stream_options.include_usage``, ``never`` does not;
- ``developer_role``: ``keep`` for a host that knows the role; otherwise (``system``) it is sent as that;
- ``null_content``: what an assistant message without text carries, null (default) or ``""``;
- ``static_headers``: header name -> value, sent with every request.

Wire: https://platform.openai.com/docs/api-reference/chat, https://docs.vllm.ai (OpenAI-compatible server).
"""

from collections.abc import Container, Mapping
from typing import Any, ClassVar

from providers.adapters.base import Adapter
from providers.adapters.kinds import HEADERS, NAMES, WORD_OR_NOTHING, Kind, one_of
from providers.adapters.openai_errors import CODES, Codes, Complaint, complaint_in, error_of
from providers.adapters.openai_request import PARTS, SHAPES, ceiling, encoded, message
from providers.adapters.openai_stream import OpenAIStream, arguments_in, finish_of, logprobs_in, text_in
from providers.documents import decoded
from providers.errors import Broken, Rejected, UpstreamError
from providers.reasoning import effort_of
from providers.thinking import split
from providers.tool_calls import ToolCall, tool_call
from providers.usage import prompt_of, usage_of
from providers.vectors import Vectors, answered, in_order
from providers.wire import (
    NOTHING,
    Chat,
    ChatStream,
    Completion,
    Support,
    Target,
    Texts,
    UpstreamRequest,
    UpstreamResponse,
)

# Sent by the rules of ``chat_request``, not copied.
BUILT = {
    *("model", "messages", "stream", "stream_options"),
    *("max_tokens", "max_completion_tokens", "reasoning_effort"),
}
LIMITS = ("max_tokens", "max_completion_tokens")
EFFORTS = ("reasoning_effort", "reasoning")
# They mean nothing, and are refused by some hosts, where no tools are offered.
TOOL_FIELDS = ("tool_choice", "parallel_tool_calls")

# OpenAI's fields, without those that name a person, keep data at the vendor or change the price.
OPENAI_FIELDS = (
    *("model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options"),
    *("temperature", "top_p", "n", "stop", "presence_penalty", "frequency_penalty", "seed"),
    *("logprobs", "top_logprobs", "logit_bias", "tools", "tool_choice", "parallel_tool_calls"),
    *("response_format", "reasoning_effort", "verbosity"),
)
VLLM_FIELDS = (
    *("top_k", "min_p", "repetition_penalty", "length_penalty", "min_tokens", "stop_token_ids", "ignore_eos"),
    *("skip_special_tokens", "include_stop_str_in_output", "chat_template_kwargs", "structured_outputs"),
    *("guided_json", "guided_regex", "guided_choice", "guided_grammar"),
)


class OpenAI(Adapter):
    """OpenAI's own format, with the manners of its many implementations put right."""

    FIELDS: ClassVar[Mapping[str, Support]] = {
        **dict.fromkeys((*OPENAI_FIELDS, *VLLM_FIELDS), Support.EXACT),
        "reasoning": Support.EMULATED,  # as reasoning_effort
    }
    FEATURES: ClassVar[Mapping[str, str]] = dict.fromkeys(EFFORTS, "reasoning")
    PARTS: ClassVar[Mapping[str, str]] = {kind: feature for kind, (_, _, feature) in PARTS.items()}
    TEXT_FIELDS: ClassVar[tuple[str, ...]] = ("encoding_format", "dimensions")
    # Hosts take more, but answers of megabytes would stop all other requests while they are read.
    TEXTS_AT_ONCE = 128
    OPTIONS: ClassVar[Mapping[str, Kind]] = {
        **Adapter.OPTIONS,
        "max_tokens_field": one_of("max_tokens", "max_completion_tokens"),
        "drop_fields": NAMES,
        "usage_in_stream": one_of("ask", "never"),
        "developer_role": one_of("keep", "system"),
        "null_content": one_of(None, ""),
        "static_headers": HEADERS,
    }
    SECRETS: ClassVar[tuple[Mapping[str, Kind], ...]] = ({"api_key": WORD_OR_NOTHING},)
    CODES: ClassVar[Codes] = CODES
    MAX_TOKENS_FIELD = "max_tokens"
    EFFORT_FIELD = "reasoning_effort"  # by which the host is told how much to think
    THINKS_IN_TEXT = False  # ``<think>`` at the start of the content is taken out of it

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        """``POST {base_url}/chat/completions``. Raises Rejected for what the endpoint cannot take."""
        body = self.body(chat, target)
        accept = "text/event-stream" if body.get("stream") else "application/json"
        return self._post("chat/completions", body, accept, target)

    def _post(self, path: str, body: dict[str, Any], accept: str, target: Target) -> UpstreamRequest:
        for name in target.options.get("drop_fields", ()):
            body.pop(name, None)
        for name in TOOL_FIELDS if "tools" not in body else ():
            body.pop(name, None)
        headers = {"content-type": "application/json", "accept": accept, **_headers(target)}
        return UpstreamRequest("POST", f"{target.base_url}/{path}", headers, encoded(body))

    def supports_at(self, field: str, features: Container[str], options: Mapping[str, Any]) -> Support:
        support = super().supports_at(field, features, options)
        needed = {self.carrier(field, options)}
        if field.partition(".")[0] in TOOL_FIELDS:
            needed.add("tools")
        return Support.DROPPED if needed.intersection(options.get("drop_fields", ())) else support

    def tells_of_texts(self, field: str, options: Mapping[str, Any]) -> bool:
        return super().tells_of_texts(field, options) and field not in options.get("drop_fields", ())

    def carrier(self, field: str, options: Mapping[str, Any]) -> str:
        """The body's own field that ``field`` travels in; "" where we bring its effect about ourselves."""
        if field in LIMITS:
            return str(options.get("max_tokens_field", self.MAX_TOKENS_FIELD))
        if field in EFFORTS:
            return self.EFFORT_FIELD
        return field.partition(".")[0] if self.supports(field) is Support.EXACT else ""

    def body(self, chat: Chat, target: Target) -> dict[str, Any]:
        """The request as the host is to get it. Dialects refine it."""
        if chat.get("n") not in (None, 1) and self.supports("n") is Support.REFUSED:
            raise Rejected("Эта модель даёт один вариант ответа: параметр n больше 1 не поддерживается.")
        messages = [message(raw, target) for raw in chat["messages"]]
        body: dict[str, Any] = {"model": target.model, "messages": messages, **self._copied(chat)}
        limit = ceiling(chat)
        if limit is not None:
            body[target.options.get("max_tokens_field", self.MAX_TOKENS_FIELD)] = limit
        if self._tells_effort(target) and (level := effort_of(chat)):
            body["reasoning_effort"] = level
        if chat.get("stream"):
            body["stream"] = True
            if target.options.get("usage_in_stream", "ask") == "ask":
                body["stream_options"] = {"include_usage": True}
        return body

    def _tells_effort(self, target: Target) -> bool:
        """Whether the host is told how much to think; models that do not think may refuse to hear of it."""
        return self.supports("reasoning_effort") is Support.EXACT and "reasoning" in target.features

    def _copied(self, chat: Chat) -> dict[str, Any]:
        """The fields that go as they are. A null is as good as absent, and some hosts refuse it."""
        copied = {
            name: SHAPES[name](value) if name in SHAPES else value
            for name, value in chat.items()
            if value is not None and name not in BUILT and self.supports(name) is Support.EXACT
        }
        if not copied.get("tools"):
            copied.pop("tools", None)
        return {name: value for name, value in copied.items() if value is not None}

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        """``choices`` and ``usage`` from a 200. Raises what an error inside it means, Broken if unusable."""
        return self._completion(response.body)

    def _completion(self, body: bytes) -> Completion:
        answer = decoded(body)
        if error := self._error(answer):
            raise error
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise Broken(detail="an answer without choices")
        completion: Completion = {"choices": [self._choice(place, raw) for place, raw in enumerate(choices)]}
        if usage := usage_of(answer.get("usage")):
            completion["usage"] = usage
        return completion

    def _choice(self, place: int, raw: object) -> dict[str, Any]:
        said = raw.get("message") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(said, dict):
            raise Broken(detail="a choice without a message")
        spoken = self._message(said)
        reason = finish_of(raw.get("finish_reason"), called="tool_calls" in spoken)
        # Whether thoughts alone are an answer depends on what was asked, which is not known here.
        if reason == "stop" and spoken["content"] is None and len(spoken) == 2:
            raise Broken(detail="an answer without content")
        choice = {"index": place, "message": spoken, "finish_reason": reason}
        if logprobs := logprobs_in(raw):
            choice["logprobs"] = logprobs
        return choice

    def _message(self, said: Mapping[str, Any]) -> dict[str, Any]:
        content = None if said.get("content") is None else text_in(said, "content")
        reasoning = text_in(said, "reasoning", "reasoning_content")
        if self.THINKS_IN_TEXT and content:
            thought, content = split(content)
            reasoning += thought
        spoken: dict[str, Any] = {"role": "assistant", "content": content}
        if calls := self._calls(said.get("tool_calls")):
            spoken["tool_calls"] = calls
        extra = {"reasoning": reasoning, "refusal": text_in(said, "refusal")}
        return spoken | {name: text for name, text in extra.items() if text}

    def _calls(self, raw: object) -> list[ToolCall]:
        if not raw:
            return []
        if not isinstance(raw, list):
            raise Broken(detail="tool_calls is no list")
        calls = [self._call(call) for call in raw]
        ids: set[str] = set()
        for call in calls:
            if call["id"] in ids:  # results name the call they belong to
                call["id"] = self.new_id()
            ids.add(call["id"])
        return calls

    def _call(self, raw: object) -> ToolCall:
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(function, dict) or not text_in(function, "name"):
            raise Broken(detail="a tool call without a name")
        call_id = text_in(raw, "id") or self.new_id()
        return tool_call(call_id, function["name"], arguments_in(function) or "{}")

    def chat_stream(self) -> ChatStream:
        """A reader for one streamed answer."""
        return OpenAIStream(
            new_id=self.new_id, error=self._error, completion=self._completion, thinks=self.THINKS_IN_TEXT
        )

    def embeddings_request(self, asked: Texts, target: Target) -> UpstreamRequest:
        """``POST {base_url}/embeddings``; base64 is asked for where the customer wants it."""
        known = {name: asked[name] for name in self.TEXT_FIELDS if asked.get(name) is not None}
        if known.get("encoding_format") == "float":  # that is what they all do by themselves
            del known["encoding_format"]
        body = {"model": target.model, "input": asked["input"], **known}
        return self._post("embeddings", body, "application/json", target)

    def embeddings(self, response: UpstreamResponse, asked: Texts) -> Vectors:
        """The vectors from a 200. Raises what an error inside it means, Broken if unusable."""
        answer = decoded(response.body)
        if error := self._error(answer):
            raise error
        items = in_order(answer.get("data"))
        return answered([item.get("embedding") for item in items], asked, prompt_of(answer.get("usage")))

    def failure(self, response: UpstreamResponse) -> UpstreamError:
        """What an answer with a status other than 200 means."""
        try:
            complaint = complaint_in(decoded(response.body), response.status)
        except Broken:  # a web page, a text, nothing
            complaint = None
        return error_of(complaint or Complaint(response.status), self.CODES, response.headers)

    def _error(self, answer: Mapping[str, Any]) -> UpstreamError | None:
        complaint = complaint_in(answer)
        return error_of(complaint, self.CODES, NOTHING) if complaint else None

    def models_request(self, target: Target) -> UpstreamRequest:
        """``GET {base_url}/models``: costs nothing and needs a working key where keys are needed."""
        return UpstreamRequest("GET", f"{target.base_url}/models", _headers(target))

    def model_names(self, response: UpstreamResponse) -> list[str]:
        """The ids on the host's list. Raises Broken if it is none."""
        models = decoded(response.body).get("data")
        if not isinstance(models, list):
            raise Broken(detail="a list of models without data")
        return [name for model in models if isinstance(model, dict) and (name := text_in(model, "id"))]


def _headers(target: Target) -> dict[str, str]:
    ours = {"authorization": target.authorization} if target.authorization else {}
    return ours | dict(target.options.get("static_headers", NOTHING))
