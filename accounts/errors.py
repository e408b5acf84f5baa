"""Why a caller is not let in. Each sentence of AccessDenied may be read by the customer.

AccessDenied
├── MissingKey           no key came with the request
├── InvalidKey           unknown, expired or disabled: which of them is not told
│   └── MalformedKey     cannot be a key at all: wrong form or checksum; no look-up was made
├── TooManyGuesses       so many wrong keys came from this address that no further one is looked up or told
├── AddressNotAllowed    the key is good, but not from this address
├── ModelNotAllowed      the key is good, but not for this model
├── ManagesOnly          the key is for keys: it asks no model, and is told nothing of money
├── ManagesNothing       the key is for models: it changes no key
├── TooManyChanges       keys of this client are being changed faster than anybody needs
└── ClientBlocked        the key is good, the whole client is switched off

Unreadable               for operators: the key that encrypted what a row keeps is gone
└── SecondFactorUnreadable

NoLetter                 no letter can be sent now

KeyNotChanged            what was asked of a key cannot be done; the text is for who asked
├── TooManyKeys          the client has as many as anybody may have
├── AlreadyMade          of this wish a key has been made before
├── AlreadyReplaced      it has a successor, or does not work
├── NobodysKey           it is the playground's: there is no text of it
└── Removed              it was removed for good

TeamError                what was asked of a client's members cannot be done; the text is for who asked
├── MayNot               his role does not allow it
├── LastOwner            nobody would own the client any more
├── AlreadyHere          who is invited is a member
├── TooManyClients       he has made as many clients as a person may
├── TooManyInvitations   so many wait that no further one is sent
└── NotInvited           the letter was used, withdrawn or is too old, or it is for another address
"""

from typing import Any


def gettext_noop(sentence: str) -> str:
    """A mark for ``makemessages``: portal pages translate it. Django's own is not for this module to know."""
    return sentence


class AccessDenied(Exception):
    """The caller may not do this. The text is a sentence the customer may read."""

    said = "Доступ запрещён."

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)


class MissingKey(AccessDenied):
    said = "Не указан API-ключ: передайте его в заголовке «Authorization: Bearer xr-…»."


class InvalidKey(AccessDenied):
    said = "Неверный API-ключ."


class MalformedKey(InvalidKey):
    pass


class TooManyGuesses(AccessDenied):
    """``retry_after``: seconds until one more key may be tried, or refused in other words."""

    said = "С вашего IP-адреса пришло слишком много неверных API-ключей: проверьте ключ и повторите позже."

    def __init__(self, said: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class AddressNotAllowed(AccessDenied):
    said = "Этот API-ключ нельзя использовать с вашего IP-адреса."


class ModelNotAllowed(AccessDenied):
    said = gettext_noop("Этому API-ключу не разрешена запрошенная модель.")


class ManagesOnly(AccessDenied):
    said = (
        "Это управляющий ключ: он только создаёт и меняет другие ключи (/v1/keys). "
        "Для запросов к моделям и данных о расходах нужен обычный ключ: xr-live-… или xr-test-…."
    )


class ManagesNothing(AccessDenied):
    said = (
        "Ключами управляет только управляющий ключ (xr-mgmt-…). "
        "Его создаёт в кабинете владелец или администратор организации."
    )


class TooManyChanges(AccessDenied):
    """``retry_after``: seconds until one more key may be changed."""

    said = "Ключи меняются слишком часто: повторите запрос позже."

    def __init__(self, said: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class ClientBlocked(AccessDenied):
    said = gettext_noop("Доступ вашей организации приостановлен. Обратитесь в поддержку.")


class Unreadable(Exception):
    """What was sealed cannot be opened: its key is in neither ``SECRET_KEY`` nor ``SECRET_KEY_FALLBACKS``."""


class SecondFactorUnreadable(Unreadable):
    """Neither SECRET_KEY nor a fallback decrypts it: it has to be forgotten and set up anew."""

    def __init__(self) -> None:
        super().__init__("A second factor cannot be decrypted: XROUTER_SECRET_KEY is another one.")


class NoLetter(Exception):
    pass


class KeyNotChanged(Exception):
    """The text is a sentence that whoever asked may read."""

    said = ""

    def __init__(self) -> None:
        super().__init__(self.said)


class TooManyKeys(KeyNotChanged):
    said = gettext_noop("Ключей уже слишком много. Удалите ненужные.")


class AlreadyMade(KeyNotChanged):
    """``key`` is what was made of the same wish."""

    said = gettext_noop("По этому запросу ключ уже создан. Целиком его больше не увидеть.")

    def __init__(self, key: Any) -> None:
        super().__init__()
        self.key = key


class AlreadyReplaced(KeyNotChanged):
    said = gettext_noop("Этот ключ уже заменён или не работает.")


class NobodysKey(KeyNotChanged):
    said = gettext_noop("Ключ песочницы можно только отключить: его самого нет ни у кого.")


class Removed(KeyNotChanged):
    said = gettext_noop("Этот ключ удалён навсегда: создайте новый.")


class TeamError(Exception):
    """The text is a sentence that whoever asked may read."""

    said = ""

    def __init__(self) -> None:
        super().__init__(self.said)


class MayNot(TeamError):
    said = gettext_noop("Ваша роль этого не позволяет.")


class LastOwner(TeamError):
    said = gettext_noop("Это последний владелец организации: сначала сделайте владельцем кого-то ещё.")


class AlreadyHere(TeamError):
    said = gettext_noop("Этот человек уже состоит в организации.")


class TooManyInvitations(TeamError):
    said = gettext_noop("Слишком много приглашений ждут ответа: отзовите ненужные.")


class TooManyClients(TeamError):
    said = gettext_noop("Больше организаций самому не создать: обратитесь к оператору.")


class NotInvited(TeamError):
    said = gettext_noop(
        "Приглашение не действует: оно использовано, отозвано, устарело или отправлено на другой адрес."
    )
