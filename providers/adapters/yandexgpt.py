"""YandexGPT, native REST: https://yandex.cloud/docs/foundation-models/text-generation/api-ref/. Pure.

The folder id is the operator's and no customer's business: it travels in the model's address and a header,
and the vendor likes to quote it in errors.

Options (``Target.options``): ``folder_id``, and ``no_logging`` (true or false): whether the vendor is always
asked to keep nothing. A credential is ``{"api_key"}`` or ``{"service_account_key"}``, the key file's content.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import jwt
import orjson

from providers.adapters.base import Adapter
from providers.adapters.kinds import KEY_FILE, SWITCH, WORD, Kind
from providers.adapters.yandexgpt_answers import YandexStream, answer_of, completion_of, failure_of
from providers.adapters.yandexgpt_messages import answer_form, messages_of, tools_of
from providers.documents import decoded
from providers.errors import Broken, DeadCredential, Misconfigured, Rejected, UpstreamError
from providers.reasoning import effort_of
from providers.usage import tokens
from providers.vectors import Vectors, answered
from providers.wire import (
    NOTHING,
    Chat,
    ChatStream,
    Completion,
    Support,
    Target,
    Texts,
    Token,
    UpstreamRequest,
    UpstreamResponse,
)

Json = dict[str, Any]

# The vendor's service as it calls itself, whatever address we reach it by: it checks the word, not the way.
AUDIENCE = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
# Seconds a signed request for a token is good for; the vendor allows no more.
JWT_LIFE = 3600
# A text to be found, and one to be found by, have models of their own whose vectors are made to be compared.
ENDS_OF_EMBEDDERS = ("-doc", "-query")
QUERIES = ("query", "search_query")
# Statuses of the token call that mean the key, and not the service, is at fault.
KEY_AT_FAULT = (400, 401, 403, 404, 422)


class YandexGPT(Adapter):
    """Text generation with tools, JSON and hidden reasoning; no images."""

    FIELDS: ClassVar[Mapping[str, Support]] = {
        "model": Support.EXACT,
        "messages": Support.EXACT,
        "stream": Support.EXACT,
        "stream_options": Support.EXACT,
        "max_tokens": Support.EXACT,
        "max_completion_tokens": Support.EXACT,
        "temperature": Support.EXACT,
        "response_format": Support.EXACT,
        "tools": Support.EXACT,
        "tool_choice": Support.EXACT,
        "parallel_tool_calls": Support.EXACT,
        "functions": Support.EMULATED,
        "function_call": Support.EMULATED,
        "reasoning_effort": Support.EMULATED,  # on or off, where the endpoint has it
        "reasoning": Support.EMULATED,
        "stop": Support.EMULATED,  # the router cuts the answer
        "top_p": Support.DROPPED,
        "seed": Support.DROPPED,
        "n": Support.DROPPED,
        "frequency_penalty": Support.DROPPED,
        "presence_penalty": Support.DROPPED,
        "logit_bias": Support.DROPPED,
        "logprobs": Support.DROPPED,
        "top_logprobs": Support.DROPPED,
        "user": Support.DROPPED,
    }
    FEATURES: ClassVar[Mapping[str, str]] = dict.fromkeys(("reasoning_effort", "reasoning"), "reasoning")
    TEXT_FIELDS: ClassVar[tuple[str, ...]] = ("dimensions", "input_type")
    OPTIONS: ClassVar[Mapping[str, Kind]] = {**Adapter.OPTIONS, "folder_id": WORD, "no_logging": SWITCH}
    SECRETS: ClassVar[tuple[Mapping[str, Kind], ...]] = ({"api_key": WORD}, {"service_account_key": KEY_FILE})

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        body = {
            "modelUri": _model_uri(target),
            "completionOptions": _options(chat, target),
            "messages": messages_of(chat),
            **tools_of(chat),
            **answer_form(chat),
        }
        return _post("completion", body, target, _headers(chat, target))

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        return completion_of(response.body, self.new_id)

    def chat_stream(self) -> ChatStream:
        return YandexStream(self.new_id)

    def embeddings_request(self, asked: Texts, target: Target) -> UpstreamRequest:
        """One text: the vendor takes no more at once."""
        [text] = asked["input"]
        body = {"modelUri": _embedder_uri(asked.get("input_type"), target), "text": text}
        if asked.get("dimensions"):
            body["dim"] = str(asked["dimensions"])
        return _post("textEmbedding", body, target, _headers(asked, target))

    def embeddings(self, response: UpstreamResponse, asked: Texts) -> Vectors:
        answer = answer_of(response.body)
        return answered([answer.get("embedding")], asked, tokens(answer.get("numTokens")))

    def failure(self, response: UpstreamResponse) -> UpstreamError:
        return failure_of(response.body, response.status, response.headers)

    def models_request(self, target: Target) -> UpstreamRequest:
        """The tokenizer: free of charge, and refused like a completion if the key or the model is no good."""
        body = {"modelUri": _model_uri(target), "text": "1"}
        return _post("tokenize", body, target, _headers({}, target))

    def model_names(self, response: UpstreamResponse) -> list[str]:
        return []

    def static_authorization(self, secret: Mapping[str, Any]) -> str | None:
        """An API key goes as it is; a service account's key is exchanged for a token."""
        key = secret.get("api_key")
        return f"Api-Key {key}" if key else None

    def token_request(
        self, secret: Mapping[str, Any], auth_url: str, *, now: float, request_id: str
    ) -> UpstreamRequest:
        """A signed wish for a token. Raises DeadCredential if the key file cannot sign."""
        body = {"jwt": _signed(secret.get("service_account_key"), int(now))}
        headers = {"content-type": "application/json", "x-client-request-id": request_id}
        return UpstreamRequest("POST", auth_url, headers, orjson.dumps(body))

    def token(self, response: UpstreamResponse, *, now: float) -> Token:
        if response.status != 200:
            cause = self.failure(response)
            kind = DeadCredential if response.status in KEY_AT_FAULT else Broken
            raise kind(detail=cause.detail)
        answer = decoded(response.body)
        value, end = answer.get("iamToken"), answer.get("expiresAt")
        if not (isinstance(value, str) and value and isinstance(end, str)):
            raise Broken(detail="no token in the answer")
        return Token(value, _moment(end))


# The request.


def _model_uri(target: Target) -> str:
    return f"gpt://{_folder(target)}/{target.model}"


def _embedder_uri(input_type: str | None, target: Target) -> str:
    """Of the pair of models the one for what the text is; an endpoint that names one of them means that."""
    name, _, branch = target.model.partition("/")
    if not name.endswith(ENDS_OF_EMBEDDERS):
        name += "-query" if input_type in QUERIES else "-doc"
    return f"emb://{_folder(target)}/{name}/{branch or 'latest'}"


def _folder(target: Target) -> str:
    folder = target.options.get("folder_id")
    if not folder:
        raise Misconfigured(detail="the provider's options have no folder_id")
    return str(folder)


def _options(chat: Chat, target: Target) -> Json:
    options: Json = {"stream": bool(chat.get("stream"))}
    if chat.get("temperature") is not None:
        options["temperature"] = min(chat["temperature"], 1)  # theirs ends where OpenAI's goes on to 2
    limits = [chat[name] for name in ("max_tokens", "max_completion_tokens") if chat.get(name) is not None]
    if limits:
        options["maxTokens"] = str(min(limits))  # a 64-bit integer is a string in protobuf's JSON
    effort = effort_of(chat)
    if effort is not None and "reasoning" in target.features:
        options["reasoningOptions"] = {"mode": "DISABLED" if effort == "none" else "ENABLED_HIDDEN"}
    return options


def _headers(chat: Chat, target: Target) -> dict[str, str]:
    headers = {"content-type": "application/json", "x-folder-id": str(target.options.get("folder_id"))}
    if target.authorization:
        headers["authorization"] = target.authorization
    denied = (chat.get("provider") or NOTHING).get("data_collection") == "deny"
    if denied or target.options.get("no_logging"):
        headers["x-data-logging-enabled"] = "false"
    return headers


def _post(method: str, body: Json, target: Target, headers: dict[str, str]) -> UpstreamRequest:
    url = f"{target.base_url}/foundationModels/v1/{method}"
    try:
        return UpstreamRequest("POST", url, headers, orjson.dumps(body))
    except orjson.JSONEncodeError as exc:
        raise Rejected("Запрос вложен слишком глубоко или содержит слишком большие числа.") from exc


def _signed(key: Any, now: int) -> str:
    try:
        # Some key files have a line of comment before the PEM proper.
        pem = key["private_key"]
        return jwt.encode(
            {"iss": key["service_account_id"], "aud": AUDIENCE, "iat": now, "exp": now + JWT_LIFE},
            pem[pem.index("-----BEGIN") :],
            algorithm="PS256",  # RSA-PSS with a salt as long as the hash
            headers={"kid": key["id"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError, jwt.PyJWTError) as exc:
        raise DeadCredential(detail="the service account's key file cannot be used") from exc


def _moment(text: str) -> float:
    """Unix seconds from RFC 3339 with up to nine digits of a fraction, of which six are kept."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError as exc:
        raise Broken(detail="the end of the token cannot be read") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
