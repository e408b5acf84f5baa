"""What is the same in many answers of the published schema: headers, refusals, and where an answer leads.

For readers and tests; nothing on the way of a request uses it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

INFERENCE = ("createChatCompletion", "createCompletion", "createEmbedding")

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_DURATION = {"type": "string", "pattern": "^([0-9]+ms|([0-9]+h)?([0-9]+m)?[0-9]+s)$"}

# Name -> (what it says, its shape).
HEADERS: dict[str, tuple[str, Json]] = {
    "x-request-id": (
        "Номер запроса: с ним мы найдём его.",
        {"type": "string", "pattern": "^req_[0-9a-f]{24}$"},
    ),
    "x-generation-id": (
        "Номер генерации: с ним — `GET /v1/generation`.",
        {"type": "string", "pattern": "^gen-[0-9a-f]{32}$"},
    ),
    "openai-processing-ms": ("Сколько длился запрос до начала ответа, мс.", _NUMBER),
    "x-xrouter-attempts": ("Сколько исполнителей спрошено.", _NUMBER),
    "x-xrouter-overhead-ms": ("Наша доля времени, мс.", {"type": "number"}),
    "x-xrouter-provider": ("Провайдер, который ответил; у ошибки — которого спросили последним.", _TEXT),
    "x-xrouter-model": ("Модель, которая ответила; у ошибки — которую спросили последней.", _TEXT),
    "x-xrouter-cost": ("Списано, ₽; у ответа целиком.", {"type": "number"}),
    "x-xrouter-repairs": ("Сколько раз модель спросили заново ради response_format.", {"type": "integer"}),
    "x-xrouter-dropped": ("Поля запроса, которых исполнитель не знает, через запятую.", _TEXT),
    "x-xrouter-limited-by": (
        "Из-за чего ответ может выйти короче, чем просили.",
        {"type": "string", "enum": ["balance", "key_limit"]},
    ),
    "x-xrouter-max-tokens": ("До скольких токенов он укорочен.", _NUMBER),
    "x-ratelimit-limit": ("Сколько запросов принимается за период.", _NUMBER),
    "x-ratelimit-remaining": ("Сколько из них осталось.", _NUMBER),
    "x-ratelimit-reset": ("Когда период кончится, секунды Unix.", _NUMBER),
    "x-ratelimit-limit-requests": ("То же, что x-ratelimit-limit.", _NUMBER),
    "x-ratelimit-remaining-requests": ("То же, что x-ratelimit-remaining.", _NUMBER),
    "x-ratelimit-reset-requests": ("Через сколько период кончится: `6m0s`.", _DURATION),
    "x-ratelimit-limit-tokens": ("Сколько токенов принимается за период.", _NUMBER),
    "x-ratelimit-remaining-tokens": ("Сколько из них осталось.", _NUMBER),
    "x-ratelimit-reset-tokens": ("Через сколько период кончится: `6m0s`.", _DURATION),
    "x-should-retry": (
        "Есть ли смысл повторить тот же запрос.",
        {"type": "string", "enum": ["true", "false"]},
    ),
    "retry-after": ("Через сколько секунд.", {"type": "integer", "minimum": 1}),
    "www-authenticate": ("Чем представиться.", {"type": "string", "const": "Bearer"}),
}
# Of an answer that came from a model.
ANSWERED = (
    *("x-generation-id", "openai-processing-ms", "x-xrouter-attempts", "x-xrouter-overhead-ms"),
    *("x-xrouter-provider", "x-xrouter-model"),
)
SOMETIMES = (
    *(
        "x-xrouter-cost",
        "x-xrouter-repairs",
        "x-xrouter-dropped",
        "x-xrouter-limited-by",
        "x-xrouter-max-tokens",
    ),
    *(name for name in HEADERS if name.startswith("x-ratelimit-")),
)
# Statuses that may say how long to wait.
PATIENT = {"408", "429", "500", "502", "503", "504"}

LINKS: dict[str, dict[str, Json]] = {
    "createChatCompletion": {
        "record": {"operationId": "retrieveGeneration", "parameters": {"id": "$response.body#/id"}},
        "route": {"operationId": "retrieveGenerationRoute", "parameters": {"id": "$response.body#/id"}},
    },
    "createEmbedding": {
        "record": {"operationId": "retrieveGeneration", "parameters": {"id": "$response.body#/id"}},
    },
    "listModels": {
        "model": {"operationId": "retrieveModel", "parameters": {"model": "$response.body#/data/0/id"}},
    },
}
LINKS["createCompletion"] = LINKS["createChatCompletion"]


def add_headers(result: Json, **context: Any) -> Json:
    """A postprocessing hook of drf-spectacular: headers of every answer, and links to what it is about."""
    used: dict[str, Json] = {}
    for operation in operations(result):
        if body := operation.get("requestBody"):
            body["required"] = True
        for status, answer in operation["responses"].items():
            always, sometimes = _headers(operation["operationId"], status)
            answer["headers"] = _pointers(used, always, "always") | _pointers(used, sometimes, "sometimes")
        if links := LINKS.get(operation["operationId"]):
            operation["responses"]["200"]["links"] = links
    result["components"]["headers"] = dict(sorted(used.items()))
    return result


def share_refusals(result: Json, **context: Any) -> Json:
    """A postprocessing hook of drf-spectacular: what a refusal looks like is told once for all operations."""
    shared: dict[str, Json] = {}
    for operation in operations(result):
        for status, answer in operation["responses"].items():
            for told in answer["content"].values() if status != "200" else ():
                shared |= told["examples"]
                told["examples"] = {
                    name: {"$ref": f"#/components/examples/{name}"} for name in told["examples"]
                }
    result["components"]["examples"] = dict(sorted(shared.items()))
    return result


def _headers(operation: str, status: str) -> tuple[Iterable[str], Iterable[str]]:
    """Those that an answer always has, and those that it sometimes has."""
    infers = operation in INFERENCE
    if status == "200":
        return (("x-request-id", *ANSWERED), SOMETIMES) if infers else (("x-request-id",), ())
    always = ["x-request-id", "x-should-retry", *(["www-authenticate"] if status == "401" else [])]
    waits = ["retry-after"] if status in PATIENT else []
    return always, [*waits, *((*ANSWERED, *SOMETIMES) if infers else ())]


def _pointers(used: dict[str, Json], names: Iterable[str], how: str) -> Json:
    """Pointers to the components of these headers, which are noted in ``used``."""
    for name in names:
        said, shape = HEADERS[name]
        used[f"{how}.{name}"] = {"description": said, "required": how == "always", "schema": shape}
    return {name: {"$ref": f"#/components/headers/{how}.{name}"} for name in names}


def operations(result: Json) -> Iterator[Json]:
    """Everything that can be asked, as declared."""
    for methods in result["paths"].values():
        yield from methods.values()
