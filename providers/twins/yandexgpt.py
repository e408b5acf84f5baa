"""YandexGPT's native REST wire: int64 as strings, a stream of JSON lines that repeat the whole text, IAM."""

import base64
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from providers.twins.answers import TOKEN, tokens
from providers.twins.dialect import ABSENT, Bill, Cut, Dialect, Operation, Tokens, Visit
from providers.twins.embeddings import vector
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
from providers.twins.yandexgpt_question import Reading

FOLDER = re.compile(r"b1g[a-z0-9]{17}")
MODEL_URI = re.compile(r"gpt://([^/]+)/([^/]+)(?:/([^/@]+)(?:@[\w-]+)?)?")
EMBEDDER_URI = re.compile(r"emb://([^/]+)/([^/]+)(?:/[^/]+)?")
MODELS = {
    "yandexgpt",
    "yandexgpt-lite",
    "yandexgpt-32k",
    "yandexgpt-5-lite",
    "yandexgpt-5-pro",
    "yandexgpt-5.1",
    "aliceai-llm",
}
BRANCHES = {None, "latest", "rc", "deprecated"}
EMBEDDERS = {"text-search-doc", "text-search-query", "text-embeddings-v2-doc", "text-embeddings-v2-query"}
LONGEST_TEXT = 2_000  # tokens
VERSION = "23.10.2026"

GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 10, 413: 3, 422: 3, 429: 8, 503: 14, 504: 4}
INTERNAL = 13
MESSAGES = {
    429: "ai.textGenerationCompletionSessionsCount.count gauge quota limit exceed: allowed 10 requests",
}

STATUSES = {
    "stop": "ALTERNATIVE_STATUS_FINAL",
    "length": "ALTERNATIVE_STATUS_TRUNCATED_FINAL",
    "content_filter": "ALTERNATIVE_STATUS_CONTENT_FILTER",
    "tool_calls": "ALTERNATIVE_STATUS_TOOL_CALLS",
}
PARTIAL = "ALTERNATIVE_STATUS_PARTIAL"

IAM_AUDIENCE = "/iam/v1/tokens"
JWT_LIFE = 3600  # seconds, the longest the vendor takes
JWT_PARTS = 3


class YandexGPT(Dialect):
    family = "yandexgpt"
    title = "YandexGPT"
    piece = 6
    context = 32_768
    stream_type = "application/json"
    chat_path = "/foundationModels/v1/completion"
    done = b""

    def __init__(self, token_lifetime: float = 43_200) -> None:
        self._tokens = Tokens(token_lifetime)

    def operations(self) -> Mapping[tuple[str, str], tuple[str, Operation]]:
        return {
            ("POST", "/iam/v1/tokens"): ("oauth", self._iam),
            ("POST", "/foundationModels/v1/tokenize"): ("tokens", self._tokenize),
            ("POST", "/foundationModels/v1/tokenizeCompletion"): ("tokens", self._tokenize_completion),
            ("POST", "/foundationModels/v1/textEmbedding"): ("embeddings", self._embedding),
        }

    def error(self, status: int, message: str) -> JsonObject:
        return {
            "error": {
                "grpcCode": GRPC_CODES.get(status, INTERNAL),
                "httpCode": status,
                "message": MESSAGES.get(status, message),
                "httpStatus": _phrase(status),
                "details": [],
            }
        }

    def event(self, value: Any) -> bytes:
        """A line: this vendor's stream is no server-sent events."""
        return orjson.dumps(value) + b"\n"

    def headers(self, visit: Visit) -> Headers:
        request_id = visit.headers.get("x-client-request-id") or str(uuid.uuid4())
        return (("x-request-id", request_id), ("x-server-trace-id", uuid.uuid4().hex))

    def too_long(self, count: int) -> Refused:
        return self.refused(400, f"Number of input tokens must be no more than {self.context}, got {count}")

    # --- Who is asking ----------------------------------------------------------------------------

    def authorize(self, visit: Visit) -> str:
        scheme, _, key = visit.headers.get("Authorization", "").partition(" ")
        if scheme == "Api-Key" and key and key != "bad":
            return key
        owner = self._tokens.owner(key, visit.now) if scheme == "Bearer" else None
        if owner is None:
            raise self.refused(401, _unknown(scheme, key))
        return owner

    def forget_token(self, visit: Visit) -> None:
        self._tokens.forget(visit.headers.get("Authorization", "").partition(" ")[2])

    def forget_tokens(self) -> None:
        self._tokens.forget_all()

    def _iam(self, visit: Visit) -> Reply:
        body = json_object(visit.body) or {}
        owner = str(body.get("yandexPassportOauthToken") or self._issuer(body.get("jwt"), visit.now))
        token, end = self._tokens.issue("t1.9euelZ", owner, visit.now)
        expires = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return json_reply({"iamToken": token, "expiresAt": f"{expires}931Z"})

    def _issuer(self, jwt: Any, now: float) -> str:
        """Whose JWT it is. The signature itself cannot be checked: the twin does not know the public key."""
        parts = jwt.split(".") if isinstance(jwt, str) else []
        head, claims = (_jwt_part(part) for part in parts[:2]) if len(parts) == JWT_PARTS else ({}, {})
        if fault := _jwt_fault(head, claims, now):
            raise Refused(401, {"code": 16, "message": fault, "details": []})
        if not parts[2]:
            raise Refused(401, {"code": 16, "message": "JWT is not signed", "details": []})
        return str(claims["iss"])

    # --- What is not chat -------------------------------------------------------------------------

    def _tokenize(self, visit: Visit) -> Reply:
        body = self._body(visit)
        self._model(body.get("modelUri"), visit)
        return json_reply({"tokens": _token_list(str(body.get("text", ""))), "modelVersion": VERSION})

    def _tokenize_completion(self, visit: Visit) -> Reply:
        body = self._body(visit)
        self._model(body.get("modelUri"), visit)
        text = "\n".join(message.text for message in Reading(self.refused).messages(body.get("messages")))
        return json_reply({"tokens": _token_list(text), "modelVersion": VERSION})

    def _embedding(self, visit: Visit) -> Reply:
        body = self._body(visit)
        found = EMBEDDER_URI.fullmatch(str(body.get("modelUri", "")))
        if not found or found[2] not in EMBEDDERS or not isinstance(body.get("text"), str):
            raise self.refused(400, "Failed to parse model URI or text")
        self._check_folder(found[1], visit)
        if (count := tokens(body["text"])) > LONGEST_TEXT:
            raise self.refused(
                400, f"Number of input tokens must be no more than {LONGEST_TEXT}, got {count}"
            )
        if "dim" in body and not found[2].startswith("text-embeddings-v2"):
            raise self.refused(400, f"Model '{found[2]}' does not support dim")
        size = int(body.get("dim", 256))
        return json_reply(
            {
                "embedding": vector(body["text"], size),
                "numTokens": str(tokens(body["text"])),
                "modelVersion": VERSION,
            }
        )

    def _body(self, visit: Visit) -> JsonObject:
        self.authorize(visit)
        body = json_object(visit.body)
        if body is None:
            raise self.refused(400, "Invalid JSON")
        return body

    # --- Chat: reading ----------------------------------------------------------------------------

    def model_of(self, body: JsonObject) -> str:
        """The model's part of the URI: ``gpt://folder/<this>/branch``."""
        parts = str(body.get("modelUri", "")).split("/")
        return parts[3] if len(parts) > 3 else ""

    def question(self, visit: Visit, body: JsonObject, model: str) -> Question:
        uri = str(body.get("modelUri", "")).replace(self.model_of(body), model)
        self._model(uri, visit)
        return Reading(self.refused).question(body, uri)

    def _model(self, uri: Any, visit: Visit) -> None:
        found = MODEL_URI.fullmatch(str(uri))
        if not found:
            raise self.refused(400, f"Failed to parse model URI '{uri}'")
        self._check_folder(found[1], visit)
        if found[2] not in MODELS:
            raise self.refused(404, f"Model '{found[2]}' is not found")
        if found[3] not in BRANCHES:
            raise self.refused(400, f"Branch '{found[3]}' of model '{found[2]}' is outdated")

    def _check_folder(self, folder: str, visit: Visit) -> None:
        own = visit.headers.get("x-folder-id", folder)
        if not FOLDER.fullmatch(folder) or folder != own:
            raise self.refused(
                400,
                f"Specified folder ID '{folder}' does not match with service account folder ID '{own}'",
            )

    # --- Chat: answering --------------------------------------------------------------------------

    def usage(self, usage: Usage) -> JsonObject:
        details = {"reasoningTokens": str(usage.reasoning)} if usage.reasoning else {}
        return {
            "inputTextTokens": str(usage.prompt),
            "completionTokens": str(usage.completion),
            "totalTokens": str(usage.prompt + usage.completion),
            "completionTokensDetails": details,
        }

    def whole(self, question: Question, answers: tuple[Answer, ...], bill: Bill) -> JsonObject:
        answer = answers[0]
        return _result(_said(answer, answer.text), STATUSES[answer.finish], bill.total())

    def stream(
        self, question: Question, answers: tuple[Answer, ...], cut: Cut, bill: Bill
    ) -> Iterator[Frame]:
        """Each line repeats the text so far; the last one brings its end and the status."""
        answer, so_far, fresh = answers[0], "", ""
        for text in cut(answer.text):
            if fresh:
                line = _result({"role": "assistant", "text": so_far}, PARTIAL, bill.so_far(tokens(so_far)))
                yield Frame(self.event(line), Part.CONTENT, tokens(fresh))
            so_far, fresh = so_far + text, text
        last = _result(_said(answer, so_far), STATUSES[answer.finish], bill.total())
        spent = bill.usage.completion if answer.calls else tokens(fresh)
        yield Frame(self.event(last), Part.FINISH, spent)


def _result(message: JsonObject, status: str, usage: Any) -> JsonObject:
    result = {
        "alternatives": [{"message": message, "status": status}],
        "usage": usage,
        "modelVersion": VERSION,
    }
    if usage is ABSENT:
        del result["usage"]
    return {"result": result}


def _said(answer: Answer, text: str) -> JsonObject:
    if not answer.calls:
        return {"role": "assistant", "text": text}
    calls = [_function_call(call) for call in answer.calls]
    return {"role": "assistant", "toolCallList": {"toolCalls": calls}}


def _function_call(call: Call) -> JsonObject:
    return {"functionCall": {"name": call.name, "arguments": _with_floats(call.arguments)}}


def _with_floats(value: Any) -> Any:
    """Numbers as protobuf's Struct knows them: all of them are doubles, 3 is 3.0."""
    if isinstance(value, dict):
        return {key: _with_floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_floats(one) for one in value]
    return float(value) if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _unknown(scheme: str, key: str) -> str:
    if scheme == "Api-Key":
        return f"Unknown api key '{key[:4]}***{key[-4:]}'"  # the vendor quotes a part of it
    return "The token has expired" if scheme == "Bearer" and key else "Unauthenticated"


def _token_list(text: str) -> list[JsonObject]:
    cuts = range(0, len(text), TOKEN)
    return [{"id": str(1000 + at), "text": text[at : at + TOKEN], "special": False} for at in cuts]


def _jwt_part(part: str) -> JsonObject:
    try:
        return json_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) or {}
    except ValueError:
        return {}


def _jwt_fault(head: JsonObject, claims: JsonObject, now: float) -> str:
    """What is wrong with a JWT; nothing if all is well."""
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(expires, int):
        return "JWT cannot be parsed or has no iat and exp"
    faults = {
        "JWT must be signed with PS256": head.get("alg") != "PS256" or head.get("typ") != "JWT",
        "JWT has no kid": not head.get("kid"),
        "JWT has no iss": not claims.get("iss"),
        "JWT has a wrong aud": not str(claims.get("aud", "")).endswith(IAM_AUDIENCE),
        "JWT lives too long": expires - issued > JWT_LIFE,
        "JWT has expired or is not valid yet": not issued - 60 <= now < expires,
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")
