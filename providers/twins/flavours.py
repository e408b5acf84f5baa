"""OpenAI's wire as MTS AI's hub and GEN-T on vLLM speak it."""

import uuid
from collections.abc import Mapping
from typing import ClassVar

from providers.twins.answers import tokens
from providers.twins.dialect import Visit
from providers.twins.openai import OpenAI
from providers.twins.shapes import Headers, JsonObject, Refused, Reply, json_object


class MtsAI(OpenAI):
    """MWS Model Hub: refuses what it does not know, symbolic codes, usage on the finish event."""

    family = "mts-ai"
    title = "MTS AI"
    usage_on_finish = True
    null_usage = False
    blank_names = True
    out_of_order = True
    context = 131_072
    owner = "mws"
    models = (
        *("mws-gpt-alpha", "cotype-pro-vl-32b", "qwen2.5-72b-instruct", "qwen3-32b", "gpt-oss-120b"),
        *("glm-4.6-357b", "kimi-k2-instruct", "bge-m3"),
    )

    fields: ClassVar[frozenset[str]] = frozenset(
        {
            "model", "messages", "temperature", "max_completion_tokens", "stream", "stream_options",
            "tools", "tool_choice", "response_format", "logprobs", "top_logprobs", "reasoning_effort",
        }
    )  # fmt: skip
    # Names begin so: tokens of a text, as the weights take them. What the hub itself takes is not documented,
    # nor which code it refuses more with; it may cut a text instead.
    embedders: ClassVar[Mapping[str, int]] = {"bge": 8_192, "BAAI/": 8_192, "qwen3-embedding": 32_768}
    without_tools: ClassVar[tuple[str, ...]] = ("cotype", "gemma")
    reasoners: ClassVar[tuple[str, ...]] = ("QwQ", "deepseek", "qwen3-32b", "gpt-oss", "glm", "kimi-k2-6")
    always_think: ClassVar[tuple[str, ...]] = ("QwQ", "deepseek-r1")
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
        if model.startswith(tuple(self.embedders)):
            raise self.coded("UNSUPPORTED_ACTION", "The model does not support chat completions")
        if body.get("tools") and model.startswith(self.without_tools):
            raise self.coded("TOOL_CALLING_UNSUPPORTED", "The model does not support tool calling")
        if "reasoning_effort" in body and not model.startswith(self.reasoners):
            raise self.coded("REASONING_UNSUPPORTED", "The model does not support reasoning")
        if (body.get("max_completion_tokens") or 0) > self.longest:
            raise self.coded("MAX_TOKENS_EXCEEDED", f"max_completion_tokens must be at most {self.longest}")
        super().check(body, model)

    def thinks(self, body: JsonObject, model: str) -> bool:
        asked = body.get("reasoning_effort") not in {None, "none"}
        return asked or model.startswith(self.always_think)

    def _embeddings(self, visit: Visit) -> Reply:
        body = json_object(visit.body) or {}
        model = str(body.get("model", ""))
        if unknown := sorted(set(body) - {"model", "input"}):
            self.authorize(visit)
            raise self.coded("INVALID_PARAMETER", f"Unknown parameter: {unknown[0]}")
        longest = next((most for name, most in self.embedders.items() if model.startswith(name)), 0)
        if not longest:
            self.authorize(visit)
            raise self.coded("UNSUPPORTED_ACTION", "The model does not support embeddings")
        if max(map(tokens, self.texts(body)), default=0) > longest:
            self.authorize(visit)
            raise self.coded("MAX_TOKENS_EXCEEDED", f"A text must have at most {longest} tokens")
        return super()._embeddings(visit)


VLLM_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class GenT(OpenAI):
    """A vLLM server with T-Bank's weights: integer codes, hermes tools, thinking unless switched off."""

    family = "gen-t"
    title = "GEN-T"
    needs_key = False
    null_usage = False
    empty_calls = True
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

    def wants(self, body: JsonObject) -> JsonObject:
        """Here ``stream_options: {}`` asks for usage too."""
        options = body.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage", True)
        return {**super().wants(body), "usage": asked}

    def call_id(self) -> str:
        return f"chatcmpl-tool-{uuid.uuid4().hex}"

    def _listed(self, name: str) -> JsonObject:
        more: JsonObject = {"root": name, "parent": None, "max_model_len": self.context, "permission": []}
        return {**super()._listed(name), **more}
