"""Who is calling: people, the client organisations they belong to, and the keys those hold."""

import dataclasses
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Concat, Length
from django.db.models.lookups import Exact, StartsWith
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from accounts import keys
from accounts.joining import Consent, Invitation, Role  # noqa: F401 - models in a module of their own
from accounts.journal import Change  # noqa: F401 - a model of this app in a module of its own
from accounts.limits import UNLIMITED, Limits
from accounts.notices import Announcement, Switch  # noqa: F401 - likewise
from accounts.people import LowerCaseEmailField, User, UserManager  # noqa: F401 - likewise
from accounts.preferences import validate_preferences


class Plan(models.TextChoices):
    FREE = "free", _("бесплатный")
    PAID = "paid", _("платный")


# How labels of the playground's keys begin, whatever language their persons read.
PLAYGROUND = gettext_noop("Песочница")
# Days for which what a client's requests said may be kept, where it asked for that.
MOST_CONTENT_DAYS = 30
USUAL_CONTENT_DAYS = 7


def limit(name: str) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(name, null=True, blank=True, validators=[MinValueValidator(1)])


class Limited(models.Model):
    """What has limits of its own; an empty one does not limit."""

    requests_per_second = limit(_("запросов в секунду"))
    requests_per_minute = limit(_("запросов в минуту"))
    requests_per_day = limit(_("запросов в сутки"))
    tokens_per_minute = limit(_("токенов в минуту"))
    concurrent_requests = limit(_("одновременных запросов"))

    class Meta:
        abstract = True

    @property
    def limits(self) -> Limits:
        limits = Limits(**{name: getattr(self, name) for name in LIMITS})
        return UNLIMITED if limits == UNLIMITED else limits  # known by identity on the way of a request


LIMITS = [field.name for field in dataclasses.fields(Limits)]
LIMITS_ARE_POSITIVE = models.Q(**{f"{name}__gte": 1 for name in LIMITS})


def preferences(told: str) -> models.JSONField:
    """The ``provider`` object for requests that do not say otherwise."""
    return models.JSONField(
        _("предпочтения маршрутизации"),
        default=dict,
        blank=True,
        validators=[validate_preferences],
        help_text=format_lazy("{} {}", _('Как provider в запросе, например {"sort": "price"}.'), told),
    )


class Client(Limited):
    """A customer organisation: it holds keys and a wallet, and people belong to it.

    Its limits take the place of its plan's.
    """

    name = models.CharField(_("название"), max_length=200, unique=True)
    inn = models.CharField(
        _("ИНН"),
        max_length=12,
        blank=True,
        validators=[RegexValidator(r"^(\d{10}|\d{12})$", _("ИНН — 10 или 12 цифр."))],
    )
    plan = models.CharField(_("тариф доступа"), max_length=4, choices=Plan, default=Plan.FREE)
    is_active = models.BooleanField(
        _("активен"), default=True, help_text=_("Ключи неактивного клиента не работают.")
    )
    routing = preferences(_("Что указано в запросе или у ключа, важнее."))
    content_since = models.DateTimeField(
        _("содержание запросов хранится с"), null=True, blank=True, editable=False
    )
    content_days = models.PositiveSmallIntegerField(
        _("дней хранения содержания"),
        default=USUAL_CONTENT_DAYS,
        db_default=USUAL_CONTENT_DAYS,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CONTENT_DAYS)],
        editable=False,
    )
    created_at = models.DateTimeField(_("создан"), default=timezone.now, editable=False)
    # Who made it by himself; operators' clients have nobody.
    founder = models.ForeignKey(
        User, models.SET_NULL, null=True, editable=False, related_name="founded", verbose_name=_("основатель")
    )
    members = models.ManyToManyField(
        User, through="Membership", related_name="clients", verbose_name=_("люди")
    )

    class Meta:
        verbose_name = _("клиент")
        verbose_name_plural = _("клиенты")
        ordering = ["name"]
        permissions = [
            ("block_client", _("Может блокировать и разблокировать клиентов")),
            ("view_as_client", _("Может смотреть кабинет глазами клиента")),
            ("export_client", _("Может выгружать клиентов")),
            ("keep_content", _("Может включать и выключать хранение содержания запросов")),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(plan__in=Plan.values), name="client_plan_is_known"),
            models.CheckConstraint(condition=LIMITS_ARE_POSITIVE, name="client_limits_are_positive"),
            models.CheckConstraint(
                condition=models.Q(content_days__gte=1, content_days__lte=MOST_CONTENT_DAYS),
                name="client_content_days_are_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def keeps_content(self) -> bool:
        """Whether what its requests say is kept: it asked for that."""
        return self.content_since is not None


class Membership(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("человек"))
    client = models.ForeignKey(Client, models.CASCADE, related_name="memberships", verbose_name=_("клиент"))
    role = models.CharField(_("роль"), max_length=10, choices=Role, default=Role.DEVELOPER)

    class Meta:
        verbose_name = _("участие")
        verbose_name_plural = _("участие")
        constraints = [
            models.UniqueConstraint(fields=["user", "client"], name="membership_once_per_client"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} — {self.client}"


class KeyKind(models.TextChoices):
    LIVE = keys.Kind.LIVE.value, _("боевой")
    TEST = keys.Kind.TEST.value, _("тестовый")
    MANAGEMENT = keys.Kind.MANAGEMENT.value, _("управляющий")


# Characters of what a wish is known by.
WISH_LENGTH = 80


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def issue(
        self, client: Client, label: str, kind: keys.Kind = keys.Kind.LIVE, **fields: Any
    ) -> tuple["ApiKey", str]:
        """A new key of ``client`` with its plaintext, which cannot be had a second time.

        Raises ValidationError.
        """
        api_key = self.model(client=client, label=label, kind=kind, **fields)
        plaintext = api_key.draw()
        api_key.full_clean()
        api_key.save(force_insert=True)
        return api_key, plaintext

    def with_prefix(self, prefix: str) -> Self:
        """The key, at most one, that ``prefix`` names."""
        return self.filter(prefix=prefix)


def validate_network(text: str) -> None:
    """Accept an address or a network: ``203.0.113.7``, ``10.0.0.0/8``, ``2001:db8::/32``."""
    try:
        ip_network(text)
    except ValueError as exc:
        raise ValidationError(_("«%(text)s» — не IP-адрес и не сеть."), params={"text": text}) from exc


class ApiKey(Limited):
    """A key of a client. The secret itself is not here: only its beginning and its hash.

    Its limits are for this key alone, beside those of the client.
    """

    client = models.ForeignKey(Client, models.CASCADE, related_name="keys", verbose_name=_("клиент"))
    label = models.CharField(_("название"), max_length=100, help_text=_("Для чего этот ключ."))
    kind = models.CharField(
        _("вид"),
        max_length=4,
        choices=KeyKind,
        default=KeyKind.LIVE,
        help_text=_(
            "На запросы с тестовым ключом отвечают двойники провайдеров. Управляющий создаёт и меняет "
            "другие ключи по API, а модели с ним не спросить."
        ),
    )
    prefix = models.CharField(_("начало"), max_length=keys.PREFIX_LENGTH, unique=True, editable=False)
    digest = models.BinaryField(_("хеш"), max_length=32)
    expires_at = models.DateTimeField(
        _("действует до"), null=True, blank=True, help_text=_("Пусто — бессрочно.")
    )
    disabled_at = models.DateTimeField(_("отключён"), null=True, blank=True, help_text=_("Пусто — работает."))
    # For good: such a key is disabled, and nobody enables it. Its row stays, for what was done with it.
    removed_at = models.DateTimeField(_("удалён"), null=True, blank=True, editable=False)
    allowed_models = ArrayField(
        models.CharField(max_length=200),
        verbose_name=_("разрешённые модели"),
        default=list,
        blank=True,
        help_text=_("Через запятую, например gigachat/pro. Пусто — все."),
    )
    allowed_addresses = ArrayField(
        models.CharField(max_length=50, validators=[validate_network]),
        verbose_name=_("разрешённые адреса"),
        default=list,
        blank=True,
        help_text=_("Адреса и сети через запятую, например 203.0.113.0/24. Пусто — любые."),
    )
    routing = preferences(_("Что указано в запросе, важнее; что здесь — важнее, чем у клиента."))
    last_used_at = models.DateTimeField(_("последний запрос"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("создан"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        User,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("кем создан"),
    )
    for_playground = models.BooleanField(
        _("песочница"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Им обращается песочница кабинета; самого ключа нет ни у кого."),
    )
    made_with = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("создан ключом"),
    )
    # What one wish to have a key is known by, so that a form or a request that comes twice makes one key.
    wish = models.CharField(max_length=WISH_LENGTH, null=True, blank=True, editable=False)
    successor = models.OneToOneField(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="predecessor",
        verbose_name=_("заменён ключом"),
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API-ключ")
        verbose_name_plural = _("API-ключи")
        ordering = ["-created_at"]
        permissions = [("rotate_apikey", _("Может перевыпускать ключи"))]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=KeyKind.values), name="key_kind_is_known"),
            models.CheckConstraint(condition=LIMITS_ARE_POSITIVE, name="key_limits_are_positive"),
            models.CheckConstraint(
                condition=StartsWith(
                    models.F("prefix"), Concat(models.Value("xr-"), "kind", models.Value("-"))
                ),
                name="key_prefix_tells_the_kind",
            ),
            models.CheckConstraint(condition=Exact(Length("digest"), 32), name="key_digest_is_sha256"),
            models.UniqueConstraint(
                fields=["client", "created_by"],
                condition=models.Q(for_playground=True),
                name="key_of_playground_once_per_person",
            ),
            models.CheckConstraint(
                condition=models.Q(removed_at=None) | models.Q(disabled_at__isnull=False),
                name="key_removed_is_disabled",
            ),
            models.UniqueConstraint(fields=["client", "wish"], name="key_once_for_a_wish"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.label})"

    @property
    def title(self) -> str:
        """Its label; of the playground's in the reader's language, until somebody calls it otherwise."""
        rest = self.label.removeprefix(PLAYGROUND)
        if self.for_playground and rest != self.label:
            return gettext(PLAYGROUND) + rest
        return self.label

    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def works(self) -> bool:
        return self.disabled_at is None and not self.is_expired()

    @property
    def is_managing(self) -> bool:
        return self.kind == KeyKind.MANAGEMENT

    def draw(self) -> str:
        """Give this unsaved key its secret, and return the plaintext."""
        key = keys.new_key(keys.Kind(self.kind))
        self.prefix, self.digest = key.prefix, key.digest
        return key.plaintext


class VisitQuerySet(models.QuerySet["Visit"]):
    def running(self) -> Self:
        return self.filter(ended_at=None, ends_at__gt=timezone.now())


class Visit(models.Model):
    """An operator looks at the pages of a client as its owner sees them. Kept for good."""

    operator = models.ForeignKey(User, models.PROTECT, related_name="visits", verbose_name=_("кто смотрел"))
    client = models.ForeignKey(Client, models.PROTECT, related_name="visits", verbose_name=_("чьими глазами"))
    reason = models.CharField(_("причина"), max_length=300)
    began_at = models.DateTimeField(_("с"), default=timezone.now)
    ends_at = models.DateTimeField(_("самое позднее до"))
    ended_at = models.DateTimeField(_("закончено раньше"), null=True, blank=True)

    objects = VisitQuerySet.as_manager()

    class Meta:
        verbose_name = _("просмотр глазами клиента")
        verbose_name_plural = _("просмотры глазами клиента")
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.operator} — {self.client}"

    @property
    def end(self) -> datetime:
        """When it ended, or will if nobody ends it before."""
        return self.ended_at or self.ends_at
