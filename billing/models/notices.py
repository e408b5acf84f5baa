"""What customers want to be told and where: channels, what has happened, and each way that it has gone."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, Membership
from accounts.moments import to_minute


class EventKind(models.TextChoices):
    LOW_BALANCE = "balance.low", _("мало средств на балансе")
    CAP_NEAR = "key.cap_80", _("ключ израсходовал 80 % предела")
    CAP_REACHED = "key.cap_100", _("предел ключа исчерпан")
    KEY_CREATED = "key.created", _("создан новый ключ")
    MEMBER_JOINED = "member.joined", _("в организации новый участник")
    INVOICE_PAID = "invoice.paid", _("счёт оплачен")
    INVOICE_REFUSED = "invoice.refused", _("в счёте отказано")
    WEBHOOK_OFF = "webhook.disabled", _("вебхук отключён после неудач")
    TEST = "test", _("проверка")


# What may be chosen; of a test one is told because one has asked for it.
CHOSEN = [(kind.value, kind.label) for kind in EventKind if kind != EventKind.TEST]
# What is told by mail where nobody has chosen: money and what stops requests.
USUAL = [
    EventKind.LOW_BALANCE.value,
    EventKind.CAP_NEAR.value,
    EventKind.CAP_REACHED.value,
    EventKind.INVOICE_PAID.value,
    EventKind.INVOICE_REFUSED.value,
    EventKind.WEBHOOK_OFF.value,
]


class ChannelKind(models.TextChoices):
    MAIL = "mail", _("почта")
    WEBHOOK = "webhook", _("вебхук")


class ChannelQuerySet(models.QuerySet["Channel"]):
    def mail_of(self, client: Client) -> "Channel":
        """The client's letters, as they are usually until somebody chooses."""
        usual = {"events": USUAL}
        return self.get_or_create(client=client, kind=ChannelKind.MAIL, defaults=usual)[0]

    def webhooks(self) -> Self:
        return self.filter(kind=ChannelKind.WEBHOOK)


class Channel(models.Model):
    """One way to tell the people of a client, and what it is for."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="channels", verbose_name=_("клиент"))
    kind = models.CharField(_("вид"), max_length=10, choices=ChannelKind)
    events = ArrayField(
        models.CharField(max_length=30, choices=CHOSEN), verbose_name=_("о чём"), default=list, blank=True
    )
    # Of letters: who gets them; nobody stands for owners, admins and accountants.
    readers = models.ManyToManyField(
        Membership, blank=True, related_name="channels", verbose_name=_("кому письма")
    )
    url = models.CharField(_("адрес"), max_length=500, blank=True)
    secret = models.TextField(_("секрет, зашифрован"), blank=True, editable=False)
    created_at = models.DateTimeField(_("создан"), db_default=Now(), editable=False)
    created_by = models.CharField(_("кем создан"), max_length=254, blank=True, editable=False)
    # In a row; a success begins anew.
    failures = models.PositiveIntegerField(_("неудач подряд"), default=0, db_default=0, editable=False)
    disabled_at = models.DateTimeField(_("отключён"), null=True, blank=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        verbose_name = _("канал оповещений")
        verbose_name_plural = _("каналы оповещений")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ChannelKind.values), name="channel_kind_is_known"),
            models.CheckConstraint(
                condition=Q(kind="webhook", secret__gt="", url__gt="")
                | (~Q(kind="webhook") & Q(secret="", url="")),
                name="channel_webhook_has_a_secret",
            ),
            models.UniqueConstraint(
                fields=["client"], condition=Q(kind="mail"), name="channel_one_for_letters"
            ),
            models.UniqueConstraint(
                fields=["client", "url"], condition=Q(kind="webhook"), name="channel_once_per_address"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.url}" if self.url else str(self.get_kind_display())


class Event(models.Model):
    """Something that a client wanted to be told; written in the transaction that made it happen."""

    id = models.UUIDField(_("номер"), primary_key=True)
    client = models.ForeignKey(Client, models.CASCADE, related_name="events", verbose_name=_("клиент"))
    kind = models.CharField(_("о чём"), max_length=30, choices=EventKind)
    cause = models.CharField(
        _("повод"), max_length=250, unique=True, help_text=_("Об одном поводе сообщают один раз.")
    )
    facts = models.JSONField(_("что случилось"), default=dict)
    created_at = models.DateTimeField(_("когда"), db_default=Now(), db_index=True)

    class Meta:
        verbose_name = _("событие")
        verbose_name_plural = _("события")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{to_minute(self.created_at)} {self.get_kind_display()}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self) -> Self:
        """What is to be sent now, by the database's clock."""
        return self.filter(next_at__lte=Now(), channel__disabled_at=None)


class Delivery(models.Model):
    """One event on its way through one channel: tried until it is taken, or for long enough."""

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries", verbose_name=_("событие"))
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries", verbose_name=_("канал"))
    tries = models.PositiveSmallIntegerField(_("попыток"), default=0, db_default=0)
    next_at = models.DateTimeField(
        _("следующая попытка"), null=True, blank=True, help_text=_("Пусто — больше не будет.")
    )
    tried_at = models.DateTimeField(_("последняя попытка"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("доставлено"), null=True, blank=True)
    status = models.PositiveSmallIntegerField(_("ответ"), null=True, blank=True)
    error = models.CharField(_("что помешало"), max_length=200, blank=True, default="", db_default="")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("доставка")
        verbose_name_plural = _("доставки")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="delivery_waiting")
        ]
        constraints = [models.UniqueConstraint(fields=["event", "channel"], name="delivery_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.channel_id}"

    @property
    def state(self) -> str:
        """delivered, waiting or lost"""
        return "delivered" if self.delivered_at else "waiting" if self.next_at else "lost"
