"""What can go wrong at a vendor. Every kind has one meaning for the gateway.

UpstreamError            another endpoint may be tried
├── Unreachable          no connection; the request was not sent
├── Misaddressed         there is no such host, or it is not who it should be: the operator is told
├── Stale                a reused connection was already closed; nothing was answered
├── TimedOut             connect, first byte, first token, between tokens, or in total
│   └── NotRead          408: the vendor waited for the request and did not get it
├── Busy                 429: wait, or try the next one; may say for how long
├── DeadCredential       401, 402, 403: our account there does not work; the operator is told
│   └── TokenRefused     401 on a token that can be exchanged for a new one
├── Misconfigured        404 and the like: we ask for something the vendor does not have
├── Broken               5xx, or an answer that cannot be understood
│   └── Conflict         409: something else is going on there at the moment
├── Truncated            the answer began and did not end
└── Rejected             the request itself is at fault; nobody else will like it better
    ├── ContextTooLong   more tokens than the model takes
    ├── Refused          the vendor's moderation will not have it; another model may
    ├── Uncalled         answered in words where a call was due; another endpoint may call
    └── TooLarge         413: more bytes than the vendor takes; another may take them
"""


def gettext_noop(sentence: str) -> str:
    """A mark for ``makemessages``: portal pages translate it. Django's own is not for this module to know."""
    return sentence


class UpstreamError(Exception):
    """A vendor did not give a usable answer. The text is a sentence the customer may read."""

    retryable = True  # may another endpoint be tried?
    repeatable = False  # may the same one, at once? Nothing was answered, so nothing can be doubled
    said = gettext_noop("Провайдер не смог ответить на запрос.")

    def __init__(self, said: str = "", *, detail: str = "") -> None:
        """``said`` may reach the customer; ``detail`` goes to the operator's log, never with a secret."""
        super().__init__(said or self.said)
        self.detail = detail


class Unreachable(UpstreamError):
    repeatable = True
    said = gettext_noop("Не удалось соединиться с провайдером.")


class Misaddressed(UpstreamError):
    said = Unreachable.said


class Stale(UpstreamError):
    repeatable = True
    said = gettext_noop("Соединение с провайдером оборвалось.")


class TimedOut(UpstreamError):
    said = gettext_noop("Провайдер не ответил вовремя.")


class NotRead(TimedOut):
    repeatable = True


class Busy(UpstreamError):
    said = gettext_noop("Провайдер перегружен.")

    def __init__(self, said: str = "", *, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(said, detail=detail)
        self.retry_after = retry_after  # seconds, as the vendor asks; None if it does not


class DeadCredential(UpstreamError):
    said = gettext_noop("Провайдер временно недоступен.")


class TokenRefused(DeadCredential):
    pass


class Misconfigured(UpstreamError):
    said = gettext_noop("Модель у провайдера сейчас недоступна.")


class Broken(UpstreamError):
    said = gettext_noop("Провайдер ответил ошибкой.")


class Conflict(Broken):
    repeatable = True


class Truncated(UpstreamError):
    said = gettext_noop("Ответ провайдера оборвался.")


class Rejected(UpstreamError):
    retryable = False
    said = gettext_noop("Провайдер отклонил запрос.")


class ContextTooLong(Rejected):
    # Agents look for the English phrase, whatever the language of the rest.
    said = gettext_noop(
        "This model's maximum context length is exceeded. "
        "Запрос вместе с ответом не помещается в контекст модели: сократите сообщения или max_tokens."
    )


class Refused(Rejected):
    said = gettext_noop("Провайдер отказался отвечать на этот запрос: так решила его модерация.")


class Uncalled(Rejected):
    retryable = True
    said = gettext_noop("Модель ответила без вызова функции, которого требует tool_choice.")


class TooLarge(Rejected):
    retryable = True
    said = gettext_noop("Запрос слишком велик для провайдера.")
