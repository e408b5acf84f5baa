"""GigaChat's native REST API, version 1. Pure.

What it differs in from OpenAI: tokens by OAuth, one system message, functions with object arguments and
without ids, usage net of the cache, moderation as a finish reason. Messages, functions, their schemas
and answers are in the modules beside this one.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from providers.adapters.base import Adapter
from providers.adapters.gigachat_answers import (
    GigaChatStream,
    completion_of,
    document_or_nothing,
    error_in,
    failure_of,
)
from providers.adapters.gigachat_functions import functions
from providers.adapters.gigachat_messages import wire_messages
from providers.adapters.kinds import WORD
from providers.documents import decoded
from providers.errors import Broken, DeadCredential, Rejected, UpstreamError
from providers.prompting import urged
from providers.reasoning import effort_of
from providers.redact import redacted
from providers.usage import prompt_of
from providers.vectors import Vectors, answered, in_order
from providers.waiting import busy
from providers.wire import (
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

# The vendor warns that requests without one may be refused.
USER_AGENT = "XRouter"
# What may stand in a header as it is.
PLAIN_HEADER = re.compile(r"[!-~]{0,128}")
ACCESS_TOKEN = re.compile(r"[!-~]+")

# Below this an expiry is in seconds, above in milliseconds: 10^11 ms is 1973, 10^11 s is the year 5138.
FIRST_MILLISECONDS = 10**11

# OpenAI's efforts -> the three GigaChat has. "none" has no equivalent and is not sent.
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}

# Codes in the body of a refusal by the token endpoint -> what the operator has to mend.
OAUTH_FAULTS = {
    1: "the scope is misspelt",
    5: "the scope is empty",
    6: "the authorization key is wrong or revoked",
    7: "the authorization key belongs to another scope",
}

# What no package is as large as.
MOST_TOKENS = 10**15

ANY_OBJECT = {"type": "json_schema", "schema": {"type": "object"}}
NOT_JSON = "Запрос нельзя передать провайдеру: слишком глубокая вложенность или недопустимые символы."
NO_SCHEMA = "В response_format типа json_schema нет схемы: укажите json_schema.schema."
NO_SUCH_FORMAT = "GigaChat не знает такого response_format: бывает text, json_object и json_schema."


class GigaChat(Adapter):
    """Sber's GigaChat. A credential is ``{"authorization_key", "scope"}``."""

    REMEMBERS = True
    FIELDS = {
        "model": Support.EXACT,
        "messages": Support.EXACT,
        "stream": Support.EXACT,
        "temperature": Support.EXACT,
        "top_p": Support.EXACT,
        "max_tokens": Support.EXACT,
        "max_completion_tokens": Support.EXACT,
        "repetition_penalty": Support.EXACT,
        "reasoning_effort": Support.EXACT,
        "reasoning": Support.EMULATED,  # its effort
        "session_id": Support.EXACT,
        "tools": Support.EXACT,
        "functions": Support.EXACT,
        "tool_choice": Support.EXACT,
        "tool_choice.required": Support.DROPPED,  # one can be forced, of several it is a wish in words
        "function_call": Support.EXACT,
        "parallel_tool_calls": Support.EMULATED,  # there is never more than one call in an answer
        "response_format": Support.EXACT,
        "response_format.json_object": Support.EMULATED,  # by a schema that any object fits
        "stream_options": Support.EMULATED,  # usage always comes
        "stop": Support.EMULATED,  # the text is cut on our side
        "n": Support.REFUSED,
        "seed": Support.DROPPED,
        "logprobs": Support.DROPPED,
        "top_logprobs": Support.DROPPED,
        "logit_bias": Support.DROPPED,
        "presence_penalty": Support.DROPPED,
        "frequency_penalty": Support.DROPPED,
        "top_k": Support.DROPPED,
        "min_p": Support.DROPPED,
        "user": Support.DROPPED,
    }
    FEATURES = dict.fromkeys(("reasoning_effort", "reasoning"), "reasoning")
    # There is no ``json_object``: a schema that any object fits stands for it.
    FORMS = dict.fromkeys(("json_object", "json_schema"), "json_schema")
    TEXTS_AT_ONCE = 64  # No limit is documented. More numbers than these take long to read.
    SECRETS = ({"authorization_key": WORD, "scope": WORD},)

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        headers = {**_headers(target), "Content-Type": "application/json"}
        if chat.get("stream"):
            headers["Accept"] = "text/event-stream"
        if session := _session_id(chat.get("session_id")):
            headers["X-Session-ID"] = session
        return UpstreamRequest("POST", f"{target.base_url}/chat/completions", headers, _body(chat, target))

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        return completion_of(decoded(response.body), self.new_id)

    def chat_stream(self) -> ChatStream:
        return GigaChatStream(self.new_id)

    def embeddings_request(self, asked: Texts, target: Target) -> UpstreamRequest:
        headers = {**_headers(target), "Content-Type": "application/json"}
        body = orjson.dumps({"model": target.model, "input": asked["input"]})
        return UpstreamRequest("POST", f"{target.base_url}/embeddings", headers, body)

    def embeddings(self, response: UpstreamResponse, asked: Texts) -> Vectors:
        """Numbers, whatever was asked for; tokens are told of each text by itself."""
        document = decoded(response.body)
        if "data" not in document:
            raise error_in(document)
        items = in_order(document["data"])
        return answered([item.get("embedding") for item in items], asked, _counted(items))

    def failure(self, response: UpstreamResponse) -> UpstreamError:
        words = document_or_nothing(response.body).get("message")
        return failure_of(response.status, words, response.headers)

    def models_request(self, target: Target) -> UpstreamRequest:
        return UpstreamRequest("GET", f"{target.base_url}/models", _headers(target))

    def model_names(self, response: UpstreamResponse) -> list[str]:
        models = decoded(response.body).get("data")
        if not isinstance(models, list):
            raise Broken(detail="no list of models")
        return [m["id"] for m in models if isinstance(m, dict) and isinstance(m.get("id"), str)]

    def balance_request(self, target: Target) -> UpstreamRequest | None:
        return UpstreamRequest("GET", f"{target.base_url}/balance", _headers(target))

    def balance(self, response: UpstreamResponse) -> Mapping[str, int] | None:
        """Tokens by model. Who pays afterwards is answered 403, and has nothing that could run out."""
        if response.status == 403:
            return None
        if response.status != 200:
            raise self.failure(response)
        packages = decoded(response.body).get("balance")
        if not isinstance(packages, list):
            raise Broken(detail="no list of packages")
        return dict(_package(each) for each in packages)

    def static_authorization(self, secret: Mapping[str, Any]) -> str | None:
        return None

    def token_request(
        self, secret: Mapping[str, Any], auth_url: str, *, now: float, request_id: str
    ) -> UpstreamRequest:
        """The exchange of the authorization key; RqUID must be a UUID version 4 or the answer is 400.

        Raises DeadCredential if the credential has no key or scope.
        """
        if not {"authorization_key", "scope"} <= secret.keys():
            raise DeadCredential(detail="a credential without authorization_key or scope")
        headers = {
            "Authorization": f"Basic {secret['authorization_key']}",
            "RqUID": request_id,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        }
        return UpstreamRequest("POST", auth_url, headers, urlencode({"scope": secret["scope"]}).encode())

    def token(self, response: UpstreamResponse, *, now: float) -> Token:
        """The access token. Raises DeadCredential for a refusal, Broken for no token or one already over."""
        if response.status != 200:
            raise _token_failure(response)
        answer = decoded(response.body)
        value, expires_at = answer.get("access_token"), _unix_seconds(answer.get("expires_at"))
        if not isinstance(value, str) or not ACCESS_TOKEN.fullmatch(value):
            raise Broken(detail="the token endpoint gave no token")
        if expires_at <= now:
            raise Broken(detail="the token endpoint gave a token that is already over")
        return Token(value, expires_at)


# The request ----------------------------------------------------------------------------------------


def _headers(target: Target) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    return {**headers, "Authorization": target.authorization} if target.authorization else headers


def _package(package: Any) -> tuple[str, int]:
    """A model's name and its tokens, as the vendor tells them."""
    if not isinstance(package, dict):
        raise Broken(detail="a package that is none")
    name, left = package.get("usage"), package.get("value")
    if not isinstance(name, str) or isinstance(left, bool) or not isinstance(left, int | float):
        raise Broken(detail="a package without a name or a number")
    if not 0 <= left < MOST_TOKENS:
        raise Broken(detail="a package of an impossible size")
    return name, int(left)


def _session_id(given: Any) -> str:
    """The customer's session, by which the vendor finds its cache again; hashed if no header can hold it."""
    if not isinstance(given, str):
        return ""
    if PLAIN_HEADER.fullmatch(given):
        return given
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()


def _body(chat: Chat, target: Target) -> bytes:
    try:
        return orjson.dumps(_wire_chat(chat, target))
    except orjson.JSONEncodeError as exc:  # nested too deep, half of a character
        raise Rejected(NOT_JSON) from exc


def _wire_chat(chat: Chat, target: Target) -> dict[str, Any]:
    return {
        "model": target.model,
        "messages": wire_messages(urged(chat)["messages"]),
        **({"stream": True} if chat.get("stream") else {}),
        **_sampling(chat),
        **_limit(chat),
        **_effort(chat, target),
        **_response_format(chat.get("response_format")),
        **functions(chat),
    }


def _sampling(chat: Chat) -> dict[str, Any]:
    names = ("temperature", "top_p", "repetition_penalty")
    sampling = {name: chat[name] for name in names if chat.get(name) is not None}
    if sampling.get("temperature") == 0:
        # A temperature of 0 is refused; a top_p of 0 is the vendor's way to the likeliest token.
        del sampling["temperature"]
        sampling["top_p"] = 0
    return sampling


def _limit(chat: Chat) -> dict[str, int]:
    limits = [chat[n] for n in ("max_tokens", "max_completion_tokens") if chat.get(n) is not None]
    return {"max_tokens": min(limits)} if limits else {}


def _effort(chat: Chat, target: Target) -> dict[str, str]:
    effort = EFFORTS.get(effort_of(chat) or "")
    return {"reasoning_effort": effort} if effort and "reasoning" in target.features else {}


def _response_format(wanted: Any) -> dict[str, Any]:
    """GigaChat has the schema unnested, and no ``json_object``: a schema that any object fits stands for it.

    The schema goes as it is: the subset that binds functions' parameters is not said to bind answers.
    """
    if not wanted or wanted.get("type") == "text":
        return {}
    if wanted.get("type") == "json_object":
        return {"response_format": ANY_OBJECT}
    if wanted.get("type") != "json_schema":
        raise Rejected(NO_SUCH_FORMAT)
    described = wanted.get("json_schema") or {}
    schema, strict = described.get("schema"), described.get("strict")
    if not isinstance(schema, dict):
        raise Rejected(NO_SCHEMA)
    # Strictness is refused for a schema that requires nothing.
    strictly = {"strict": strict} if isinstance(strict, bool) and "required" in schema else {}
    return {"response_format": {"type": "json_schema", "schema": schema, **strictly}}


def _counted(items: list[dict[str, Any]]) -> int | None:
    """The tokens of all texts; None where the vendor has not told of each."""
    counts = [prompt_of(item.get("usage")) for item in items]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


# The token --------------------------------------------------------------------------------------


def _token_failure(response: UpstreamResponse) -> UpstreamError:
    """No 401 here is a token that could be renewed: it is the credential itself."""
    answer = document_or_nothing(response.body)
    meaning = OAUTH_FAULTS.get(answer["code"]) if type(answer.get("code")) is int else None
    detail = f"token endpoint, {response.status}: {meaning or redacted(str(answer.get('message', '')))}"
    if response.status == 429:
        return busy(detail, response.headers)
    if 400 <= response.status < 500:
        return DeadCredential(detail=detail)
    return Broken(detail=detail)


def _unix_seconds(expires_at: Any) -> float:
    """An expiry in Unix seconds, whichever unit it came in; 0 where it is no number."""
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        return 0
    return expires_at if expires_at < FIRST_MILLISECONDS else expires_at / 1000
