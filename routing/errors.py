"""What can go wrong with a customer's request before, beside or after the vendors.

RequestError             the customer gets no answer; the text says why
├── BadRequest           a field is missing, of a wrong type or out of range; ``param`` is its path
│   └── TextTooLong      one of several texts is longer than any of the model's endpoints can take
├── TooManyBytes         the body is longer than we read
├── BodyTimedOut         the body did not arrive in time
├── NotJson              the body is declared to be something else than JSON
├── NoSuchAddress        nothing of the API is at this path
├── WrongMethod          something is, but not by this method; ``allowed`` are the ones
├── Circular             the request comes from this very installation, which is a provider of its own
├── UnknownGeneration    this client has no such generation, or there is none
├── UnknownKey           this client has no such key that programs may change, or there is none
├── KeyConflict          the key's state does not allow it, or the client has too many
│   └── KeyAlreadyMade   the same wish has made a key before; ``key_id`` says which
├── UnknownModel         the catalogue has no such model; says which names are near
├── NoRoute              no endpoint may serve this request; ``reasons`` say why
├── NobodyAnswered       endpoints were asked and failed; ``failure`` is the last one's
├── Overloaded           the machine is full, and this client asks far more often than others
└── Unavailable          the database is away: who is calling cannot be told, or nothing can be recorded
"""

from collections.abc import Sequence
from typing import Any

from providers.errors import Rejected, UpstreamError

_LONGEST_REASON = 300  # characters of what a validator says
_LONGEST_NAME = 64  # characters of a model's name that are repeated to the customer


class RequestError(Exception):
    """A request that cannot be answered. The text is a sentence the customer may read."""

    said = "Запрос не может быть выполнен."
    param: str | None = None  # path of the field at fault, as in ``messages[2].content``
    retry_after: float | None = None  # seconds after which the same request may succeed

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)

    def facts(self) -> dict[str, Any]:
        """What a program may want to know beside the sentence; goes to ``metadata``."""
        return {}


class BadRequest(RequestError):
    """``param`` is the path of the field at fault, None where the body as a whole is."""

    said = "Запрос составлен неверно."

    def __init__(self, said: str = "", *, param: str | None = None) -> None:
        super().__init__(said)
        self.param = param


class TextTooLong(BadRequest):
    """``limit`` in tokens; ``index`` of the text among those of ``input``, None where there is no other."""

    # Agents look for the English phrase, whatever the language of the rest.
    said = (
        "This model's maximum context length is exceeded. "
        "Текст длиннее, чем модель принимает: разделите его на части."
    )

    def __init__(self, limit: int, index: int | None) -> None:
        field = "input" if index is None else f"input[{index}]"
        super().__init__(f"Поле {field}: {self.said} Предел — {limit} токенов.", param=field)


class TooManyBytes(RequestError):
    """``limit`` in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"Тело запроса слишком велико: принимается не больше {limit} байт.")
        self.limit = limit


class BodyTimedOut(RequestError):
    said = "Тело запроса не пришло вовремя."


class NotJson(RequestError):
    said = "Тело запроса должно быть в формате JSON (Content-Type: application/json), без сжатия."


class NoSuchAddress(RequestError):
    said = "По этому адресу ничего нет. Что есть, перечислено в /v1/openapi.json и на странице /docs/."


class NotYet(NoSuchAddress):
    """``path`` is one of OpenAI's or Anthropic's that is not served yet; ``instead`` says what is."""

    def __init__(self, path: str = "", instead: str = "") -> None:
        super().__init__(f"Адреса {path} в XRouter пока нет. {instead}" if path else "")


class WrongMethod(RequestError):
    """``allowed``: methods that the address knows, as in ``GET``."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Такой метод здесь не поддерживается. Допускается: {', '.join(allowed)}.")
        self.allowed = list(allowed)


class Circular(RequestError):
    said = "Запрос пришёл от этого же XRouter: адрес одного из провайдеров ведёт к нему самому."


class UnknownGeneration(RequestError):
    """The same for what is another's and for what is not."""

    said = "Такой генерации нет."
    param = "id"


class UnknownKey(RequestError):
    """The same for what is another's, for management keys and for what is not."""

    said = "Такого ключа нет."
    param = "id"


class KeyConflict(RequestError):
    """The text says why it cannot be done with the key as it is."""

    said = "Этот ключ уже заменён или не работает."


class KeyAlreadyMade(KeyConflict):
    """``key_id``: of what was made when the same was asked for before."""

    said = (
        "Ключ с этим Idempotency-Key уже создан, и целиком его больше не увидеть. "
        "Если ответ не дошёл, замените ключ: POST /v1/keys/{id}/rotate."
    )

    def __init__(self, key_id: str) -> None:
        super().__init__()
        self.key_id = key_id

    def facts(self) -> dict[str, Any]:
        return {"key_id": self.key_id}


class UnknownModel(RequestError):
    """``model`` as the customer wrote it, ``nearest`` the known names that look like it."""

    def __init__(self, model: str, nearest: Sequence[str] = (), *, param: str = "model") -> None:
        hint = f" Похожие: {', '.join(nearest)}." if nearest else ""
        super().__init__(f"Модель «{_short(model)}» не найдена.{hint}")
        self.param = param
        self.model = model
        self.nearest = list(nearest)

    def facts(self) -> dict[str, Any]:
        return {"model_slug": _short(self.model)}


class NoRoute(RequestError):
    """``reasons``: why each endpoint was excluded. ``retry_after`` if one will be back."""

    def __init__(self, reasons: Sequence[str] = (), *, retry_after: float | None = None) -> None:
        self.reasons = list(dict.fromkeys(reasons))  # a provider's endpoints often have the same one
        told = f" {'; '.join(reason.removesuffix('.') for reason in self.reasons)}." if reasons else ""
        super().__init__(f"Сейчас этот запрос некому выполнить.{told}")
        self.retry_after = retry_after

    def facts(self) -> dict[str, Any]:
        return {"reasons": self.reasons}


class NobodyAnswered(RequestError):
    """Every endpoint that was asked failed; ``failure`` is the last one's, ``attempts`` how many were."""

    def __init__(self, failure: UpstreamError, attempts: int) -> None:
        tried = f" Попыток: {attempts}." if attempts > 1 else ""
        super().__init__(f"{failure}{tried}")
        self.failure = failure
        self.attempts = attempts

    def facts(self) -> dict[str, Any]:
        return {"attempts": self.attempts}


class Unfit(RequestError, Rejected):
    """The model does not keep to the form that was promised, though it was asked again ``repairs`` times.

    ``path``: where its last answer is wrong, as in ``items[0].price``.
    """

    said = "Модель не дала ответа в том виде, который требует response_format; за него ничего не списано."

    def __init__(self, said: str = "", *, detail: str = "", path: str = "", repairs: int = 0) -> None:
        super().__init__(f"{self.said} Не так: {said[:_LONGEST_REASON]}." if said else "")
        self.detail = detail
        self.path = path
        self.repairs = repairs

    def facts(self) -> dict[str, Any]:
        return {"path": self.path, "repairs": self.repairs}


class TooManyUnfit(RequestError):
    """What does not fit is free; a client whose answers never do would have others pay for them."""

    said = "Слишком много ваших ответов не подошло под response_format: исправьте схему или повторите позже."

    def __init__(self, said: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class Overloaded(RequestError):
    said = "Сервис перегружен, а вы спрашиваете намного чаще других: повторите запрос чуть позже."

    def __init__(self, said: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class Unavailable(RequestError):
    said = "Сервис временно недоступен, повторите запрос."


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
