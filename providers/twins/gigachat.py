"""GigaChat's wire: OAuth, API v1, its refusals and its oddities."""

import base64
import binascii
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import orjson

from providers.twins.answers import prompt_tokens, tokens
from providers.twins.dialect import ABSENT, Bill, Cut, Dialect, Operation, Tokens, Visit, json_object, vector
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
EMBEDDERS = {
    "Embeddings": 1024,
    "Embeddings-2": 1024,
    "EmbeddingsGigaR": 2560,
    "GigaEmbeddings-3B-2025-09": 2048,
}
RESERVED = {"text2image", "text2model3d", "web_search"}
FUNCTION_NAME = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
FORMATS = {"date", "date-time", "time"}
UNIONS = ("$ref", "anyOf", "oneOf", "allOf")

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

# field -> what its value must satisfy, else 400
NUMBERS: dict[str, Callable[[float], bool]] = {
    "temperature": lambda value: value > 0,
    "top_p": lambda value: 0 <= value <= 1,
    "max_tokens": lambda value: value > 0 and value == int(value),
    "repetition_penalty": lambda value: value > 0,
    "update_interval": lambda value: value >= 0,
}


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
        size = EMBEDDERS.get(body.get("model", ""))
        if size is None:
            raise self.refused(404, MESSAGES[404])
        items = [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector(text, size),
                "usage": {"prompt_tokens": tokens(text)},
            }
            for index, text in enumerate(self._texts(body))
        ]
        return json_reply({"object": "list", "model": body["model"], "data": items})

    def _count(self, visit: Visit) -> Reply:
        texts = self._texts(self._body(visit))
        return json_reply(
            [{"object": "tokens", "tokens": tokens(text), "characters": len(text)} for text in texts]
        )

    def _balance(self, visit: Visit) -> Reply:
        self.authorize(visit)
        raise self.refused(403, MESSAGES[403])

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
        self._check_numbers(body)
        messages = self._messages(body.get("messages"))
        tools = self._functions(body.get("functions", []))
        question = Question(
            model=version,
            messages=messages,
            directives=directives(last_user_text(messages)),
            tools=tools,
            choice=self._choice(body.get("function_call", "auto"), tools),
            parallel=False,
            max_tokens=body.get("max_tokens"),
            schema=self._schema(body.get("response_format")),
            stream=bool(body.get("stream", False)),
        )
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

    def _check_numbers(self, body: JsonObject) -> None:
        for name, is_good in NUMBERS.items():
            value = body.get(name)
            if value is not None and (not _is_number(value) or not is_good(value)):
                raise self.refused(400, f"Invalid params: {name} is out of range")
        if not isinstance(body.get("stream", False), bool):
            raise self.refused(400, "Invalid params: stream must be a boolean")
        if body.get("reasoning_effort", "low") not in {"low", "medium", "high"}:
            raise self.refused(400, "Invalid params: unknown reasoning_effort")

    def _messages(self, messages: Any) -> tuple[Message, ...]:
        if not isinstance(messages, list) or not messages:
            raise self.refused(422, "Invalid params: messages must not be empty")
        open_call = ""
        for index, message in enumerate(messages):
            open_call = self._check_message(message, index, open_call)
        if open_call:
            raise self.refused(422, f"Invalid params: no result of function {open_call}")
        return tuple(_message(message) for message in messages)

    def _check_message(self, message: Any, index: int, open_call: str) -> str:
        """The name of the function whose result must come next, or nothing."""
        role = message.get("role") if isinstance(message, dict) else None
        if role not in {"system", "user", "assistant", "function"}:
            raise self.refused(400, f"Invalid params: unknown role in messages[{index}]")
        if not isinstance(message.get("content"), str):
            raise self.refused(400, f"Invalid params: messages[{index}].content must be a string")
        if role == "system" and index:
            raise self.refused(422, "Invalid params: system message must be the first message")
        if open_call and role != "function":
            raise self.refused(422, f"Invalid params: no result of function {open_call}")
        if role == "function":
            return self._check_result(message, open_call)
        return self._check_call(message) if role == "assistant" else ""

    def _check_result(self, message: JsonObject, open_call: str) -> str:
        if not open_call or message.get("name") != open_call:
            raise self.refused(422, "Invalid params: function result without a call of this function")
        try:
            orjson.loads(message["content"])
        except orjson.JSONDecodeError:
            raise self.refused(422, "Invalid params: function result is not a JSON document") from None
        return ""

    def _check_call(self, message: JsonObject) -> str:
        call = message.get("function_call")
        if call is None:
            return ""
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise self.refused(400, "Invalid params: function_call must have a name")
        if not isinstance(call.get("arguments"), dict):
            raise self.refused(400, "Invalid params: function_call.arguments must be an object")
        return str(call["name"])

    def _functions(self, functions: Any) -> tuple[Tool, ...]:
        if not isinstance(functions, list):
            raise self.refused(400, "Invalid params: functions must be an array")
        for function in functions:
            self._check_function(function)
        return tuple(
            Tool(function["name"], function.get("description") or "", function["parameters"])
            for function in functions
        )

    def _check_function(self, function: Any) -> None:
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name) or name in RESERVED:
            raise self.refused(422, f"Invalid params: bad function name {name!r}")
        if not isinstance(function.get("description", ""), str):
            raise self.refused(422, f"Invalid params: bad description of function {name}")
        fault = schema_fault(function.get("parameters"))
        if fault:
            raise self.refused(422, f"Invalid params: parameters of function {name}: {fault}")

    def _choice(self, choice: Any, tools: tuple[Tool, ...]) -> str:
        if choice in ("auto", "none"):
            return str(choice)
        name = choice.get("name") if isinstance(choice, dict) else None
        if not isinstance(name, str):
            raise self.refused(400, "Invalid params: function_call must be auto, none or an object")
        if name not in {tool.name for tool in tools}:
            raise self.refused(422, f"Invalid params: function {name} is not described")
        return name

    def _schema(self, wanted: Any) -> JsonObject | None:
        if wanted is None:
            return None
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        if kind == "text":
            return None
        if kind != "json_schema":
            raise self.refused(400, f'Unknown type "{kind}" in response_format')
        schema = wanted.get("schema")
        if not isinstance(schema, dict):
            raise self.refused(400, "Invalid params: response_format.schema is missing")
        if wanted.get("strict") and "required" not in schema:
            raise self.refused(400, "Invalid params: strict schema needs required")
        return schema

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
        message = {"role": "assistant", "content": answer.text, **_called(answer.calls)}
        choice = {"message": message, "index": 0, "finish_reason": _finish(answer)}
        return _envelope(question, choice, bill.total())

    def stream(
        self, question: Question, answers: tuple[Answer, ...], cut: Cut, bill: Bill
    ) -> Iterator[Frame]:
        answer = answers[0]
        role, sent = {"role": "assistant"}, 0
        for text in cut(answer.text):
            sent += tokens(text)
            choice = {"delta": {"content": text, **role}, "index": 0}
            usage = bill.so_far(sent) if bill.everywhere else ABSENT
            data = self.event(_envelope(question, choice, usage))
            yield Frame(data, Part.CONTENT, tokens(text))
            role = {}
        delta = {"content": "", **role, **_called(answer.calls)}
        choice = {"delta": delta, "index": 0, "finish_reason": _finish(answer)}
        spent = bill.usage.completion - sent if answer.calls else 0
        yield Frame(self.event(_envelope(question, choice, bill.total())), Part.FINISH, spent)
        yield Frame(self.done, Part.DONE)

    def usage_event(self, question: Question, bill: Bill) -> bytes:
        """An event with nothing but usage; the vendor does not send it, faults do."""
        return self.event({**_envelope(question, {}, bill.total()), "choices": []})


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


def _message(message: JsonObject) -> Message:
    role = {"function": "result"}.get(message["role"], message["role"])
    call = message.get("function_call")
    return Message(role, message["content"] + (orjson.dumps(call).decode() if call else ""))


def last_user_text(messages: tuple[Message, ...]) -> str:
    """What the user said last; a lone system message counts as a user's."""
    said = [message.text for message in messages if message.role == "user"]
    return (said or [messages[-1].text])[-1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def schema_fault(schema: Any) -> str:
    """What is wrong with a function's parameters by GigaChat's subset of JSON Schema; nothing if all is well."""
    if not isinstance(schema, dict):
        return "not an object"
    if union := next((word for word in UNIONS if word in schema), ""):
        return f"{union} is not supported"
    kind = schema.get("type")
    if isinstance(kind, list):
        return "a list of types is not supported"
    if kind == "object" and not isinstance(schema.get("properties"), dict):
        return "object without properties"
    if not all(isinstance(value, str) for value in schema.get("enum", ())):
        return "enum must be of strings"
    if "format" in schema and schema["format"] not in FORMATS:
        return f"unknown format {schema['format']}"
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return next(filter(None, map(schema_fault, below)), "")


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
