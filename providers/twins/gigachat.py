"""GigaChat's wire: OAuth, API v1, its refusals and its oddities."""

import base64
import binascii
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from providers.twins.answers import prompt_tokens, tokens
from providers.twins.dialect import ABSENT, Bill, Cut, Dialect, Operation, Tokens, Visit
from providers.twins.directives import split_model
from providers.twins.embeddings import vector
from providers.twins.gigachat_question import Reading
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
    json_object,
    json_reply,
)

SCOPES = {"GIGACHAT_API_PERS", "GIGACHAT_API_B2B", "GIGACHAT_API_CORP"}

# The version that answers under each name: first-generation names are served by the second.
VERSIONS = {
    "GigaChat": "GigaChat-2:2.0.28.2",
    "GigaChat-2": "GigaChat-2:2.0.28.2",
    "GigaChat-2-Pro": "GigaChat-2-Pro:2.0.28.2",
    "GigaChat-2-Max": "GigaChat-2-Max:2.0.28.2",
    "GigaChat-Plus": "GigaChat-2:2.0.28.2",
    "GigaChat-Pro": "GigaChat-2-Pro:2.0.28.2",
    "GigaChat-Max": "GigaChat-2-Max:2.0.28.2",
    "GigaChat-2-Reasoning": "GigaChat-2-Reasoning:1.0.3.1",
    "GigaChat-3-Lightning": "GigaChat-3-Lightning:3.0.1.1",
    "GigaChat-3-Pro": "GigaChat-3-Pro:3.0.1.1",
    "GigaChat-3-Ultra": "GigaChat-3-Ultra:3.0.1.1",
}
# Numbers in a vector, and tokens that a text may have.
EMBEDDERS = {
    "Embeddings": (1024, 512),
    "Embeddings-2": (1024, 512),
    "EmbeddingsGigaR": (2560, 4096),
    "GigaEmbeddings-3B-2025-09": (2048, 4096),
}
# Prepaid tokens that are left.
PACKAGES = {"GigaChat": 900_000, "GigaChat-Pro": 50_000, "Embeddings": 1_000_000}
# Without a session the cache still finds a token or two.
CACHED_ANYWAY = 2
SESSIONS = 10_000

MESSAGES = {
    400: "Bad request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Permission denied",
    404: "No such model",
    413: "Payload too large",
    422: "Invalid params",
    429: "Too many requests",
    500: "Internal Server Error",
}
INVALID_JSON = "Your request contains invalid JSON syntax."


class GigaChat(Dialect):
    family = "gigachat"
    title = "GigaChat"
    piece = 4
    chat_path = "/api/v1/chat/completions"

    def __init__(self, token_lifetime: float = 1800) -> None:
        self._tokens = Tokens(token_lifetime)
        self._sessions: OrderedDict[str, int] = OrderedDict()  # session -> tokens of its last prompt

    def operations(self) -> Mapping[tuple[str, str], tuple[str, Operation]]:
        return {
            ("POST", "/api/v2/oauth"): ("oauth", self._oauth),
            ("GET", "/api/v1/models"): ("models", self._models),
            ("GET", "/api/v1/models/"): ("models", self._model),
            ("POST", "/api/v1/embeddings"): ("embeddings", self._embeddings),
            ("POST", "/api/v1/tokens/count"): ("tokens", self._count),
            ("GET", "/api/v1/balance"): ("balance", self._balance),
        }

    def error(self, status: int, message: str) -> JsonObject:
        return {"status": status, "message": message}

    def headers(self, visit: Visit) -> Headers:
        request_id = visit.headers.get("X-Request-ID") or str(uuid.uuid4())
        session = visit.headers.get("X-Session-ID") or str(uuid.uuid4())
        return (("X-Request-ID", request_id), ("X-Session-ID", session))

    def too_long(self, count: int) -> Refused:
        return self.refused(413, MESSAGES[413])

    # --- Tokens -----------------------------------------------------------------------------------

    def authorize(self, visit: Visit) -> str:
        if not visit.headers.get("User-Agent"):
            raise self.refused(403, MESSAGES[403])
        scheme, _, token = visit.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise self.refused(401, MESSAGES[401])
        owner = self._tokens.owner(token, visit.now)
        if owner is None:
            raise self.refused(401, "Token has expired")
        return owner

    def forget_token(self, visit: Visit) -> None:
        self._tokens.forget(visit.headers.get("Authorization", "").partition(" ")[2])

    def forget_tokens(self) -> None:
        self._tokens.forget_all()

    def _oauth(self, visit: Visit) -> Reply:
        if not is_uuid4(visit.headers.get("RqUID", "")):
            raise _oauth_refused(400, 4, "RqUID is missing or is not UUID v4")
        scheme, _, key = visit.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or not key or _is_bad(key):
            raise _oauth_refused(401, 6, "credentials doesn't match db data")
        scope = _form(visit).get("scope", [""])[0]
        if not scope:
            raise _oauth_refused(400, 5, "scope is empty")
        if scope not in SCOPES:
            raise _oauth_refused(400, 1, "scope data format invalid")
        token, end = self._tokens.issue("eyJjdHkiOiJqd3QiLCJlbmMiOi", key, visit.now)
        return json_reply({"access_token": token, "expires_at": int(end * 1000)})

    # --- What is not chat -------------------------------------------------------------------------

    def _models(self, visit: Visit) -> Reply:
        self.authorize(visit)
        kinds = {**dict.fromkeys(VERSIONS, "chat"), **dict.fromkeys(EMBEDDERS, "embedder")}
        return json_reply({"object": "list", "data": [_listed(name, kind) for name, kind in kinds.items()]})

    def _model(self, visit: Visit) -> Reply:
        self.authorize(visit)
        name = visit.path.rpartition("/")[2]
        if name not in VERSIONS and name not in EMBEDDERS:
            raise self.refused(404, MESSAGES[404])
        return json_reply(_listed(name, "chat" if name in VERSIONS else "embedder"))

    def _embeddings(self, visit: Visit) -> Reply:
        body = self._body(visit)
        model, _ = split_model(self.model_of(body))
        if model not in EMBEDDERS:
            raise self.refused(404, MESSAGES[404])
        (size, longest), texts = EMBEDDERS[model], self._texts(body)
        if max(map(tokens, texts)) > longest:
            raise self.refused(413, MESSAGES[413])
        items = [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector(text, size),
                "usage": {"prompt_tokens": tokens(text)},
            }
            for index, text in enumerate(texts)
        ]
        return json_reply({"object": "list", "model": model, "data": items})

    def _count(self, visit: Visit) -> Reply:
        texts = self._texts(self._body(visit))
        return json_reply(
            [{"object": "tokens", "tokens": tokens(text), "characters": len(text)} for text in texts]
        )

    def _balance(self, visit: Visit) -> Reply:
        """What a twin would have left: always the same. ``http_403`` is an account without packages."""
        self.authorize(visit)
        packages = [{"usage": model, "value": left} for model, left in PACKAGES.items()]
        return json_reply({"balance": packages})

    def _body(self, visit: Visit) -> JsonObject:
        self.authorize(visit)
        body = json_object(visit.body)
        if body is None:
            raise self.refused(400, INVALID_JSON)
        return body

    def _texts(self, body: JsonObject) -> list[str]:
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise self.refused(422, "Invalid params: input must be a string or an array of strings")
        return texts

    # --- Chat: reading ----------------------------------------------------------------------------

    def model_of(self, body: JsonObject) -> str:
        model = body.get("model")
        return model if isinstance(model, str) else ""

    def question(self, visit: Visit, body: JsonObject, model: str) -> Question:
        version = VERSIONS.get(model.removesuffix("-preview"))
        if version is None:
            raise self.refused(404, MESSAGES[404])
        question = Reading(self.refused).question(body, version)
        return self._with_cache(question, visit.headers.get("X-Session-ID", ""))

    def _with_cache(self, question: Question, session: str) -> Question:
        count = prompt_tokens(question)
        cached = min(CACHED_ANYWAY, count)
        if session:
            cached = min(count, self._sessions.pop(session, cached))
            self._sessions[session] = count
            if len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
        return replace(question, cached=cached)

    # --- Chat: answering --------------------------------------------------------------------------

    def usage(self, usage: Usage) -> JsonObject:
        """Net of the cache: what it found is neither in the prompt nor in the total."""
        prompt = usage.prompt - usage.cached
        return {
            "prompt_tokens": prompt,
            "completion_tokens": usage.completion,
            "total_tokens": prompt + usage.completion,
            "precached_prompt_tokens": usage.cached,
        }

    def whole(self, question: Question, answers: tuple[Answer, ...], bill: Bill) -> JsonObject:
        answer = answers[0]
        thoughts = {"reasoning_content": answer.reasoning} if answer.reasoning else {}
        message = {"role": "assistant", "content": answer.text, **thoughts, **_called(answer.calls)}
        choice = {"message": message, "index": 0, "finish_reason": _finish(answer)}
        return _envelope(question, choice, bill.total())

    def stream(
        self, question: Question, answers: tuple[Answer, ...], cut: Cut, bill: Bill
    ) -> Iterator[Frame]:
        answer = answers[0]
        role, sent = {"role": "assistant"}, 0
        said = [("reasoning_content", text) for text in cut(answer.reasoning)]
        said += [("content", text) for text in cut(answer.text)]
        for name, text in said:
            sent += tokens(text)
            choice = {"delta": {name: text, **role}, "index": 0}
            usage = bill.so_far(sent) if bill.everywhere else ABSENT
            data = self.event(_envelope(question, choice, usage))
            yield Frame(data, Part.CONTENT, tokens(text))
            role = {}
        delta = {"content": "", **role, **_called(answer.calls)}
        choice = {"delta": delta, "index": 0, "finish_reason": _finish(answer)}
        spent = bill.usage.completion - sent if answer.calls else 0
        yield Frame(self.event(_envelope(question, choice, bill.total())), Part.FINISH, spent)
        yield Frame(self.done, Part.DONE)


def _envelope(question: Question, choice: JsonObject, usage: Any) -> JsonObject:
    body = {
        "choices": [choice],
        "created": int(time.time()),
        "model": question.model,
        "object": "chat.completion",
    }
    return body if usage is ABSENT else {**body, "usage": usage}


FINISHES = {"tool_calls": "function_call", "content_filter": "blacklist"}


def _finish(answer: Answer) -> str:
    return FINISHES.get(answer.finish, answer.finish)


def _called(calls: tuple[Call, ...]) -> JsonObject:
    if not calls:
        return {}
    call = {"name": calls[0].name, "arguments": calls[0].arguments}
    return {"function_call": call, "functions_state_id": str(uuid.uuid4())}


def _listed(name: str, kind: str) -> JsonObject:
    return {"id": name, "object": "model", "owned_by": "salutedevices", "type": kind}


def is_uuid4(text: str) -> bool:
    try:
        return uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_bad(key: str) -> bool:
    """Whether it is the key that twins refuse: ``bad``, or its Base64, or a Base64 of ``bad:…``."""
    try:
        decoded = base64.b64decode(key, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    return key == "bad" or decoded.partition(":")[0] == "bad"


def _form(visit: Visit) -> dict[str, list[str]]:
    kind = visit.headers.get("Content-Type", "").partition(";")[0].strip()
    return (
        parse_qs(visit.body.decode("utf-8", "replace")) if kind == "application/x-www-form-urlencoded" else {}
    )


def _oauth_refused(status: int, code: int, message: str) -> Refused:
    return Refused(status, {"code": code, "message": message})
