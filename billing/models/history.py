"""What became of each request."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Client
from billing.fields import MicroField
from billing.money import Micro


class GenerationStatus(models.TextChoices):
    OK = "ok", _("выполнена")
    FAILED = "failed", _("не удалась")
    CANCELLED = "cancelled", _("прервана клиентом")
    REFUSED = "refused", _("отклонена нами")
    EXPIRED = "expired", _("потеряна при сбое")


class UsageSource(models.TextChoices):
    PROVIDER = "provider", _("провайдер")
    ESTIMATED = "estimated", _("наша оценка")
    NONE = "none", _("нет")


class Generation(models.Model):
    """What became of one request. History: names are copied, nothing here follows the catalogue.

    Texts have no length in the database: nothing a vendor says may stop the record from being written.
    """

    id = models.UUIDField(
        _("номер"), primary_key=True, help_text=_("128 случайных битов, выбраны при приёме.")
    )
    client = models.ForeignKey(
        Client, models.PROTECT, db_index=False, related_name="generations", verbose_name=_("клиент")
    )
    # No constraint in the database: a key may be deleted while its last answers are still being given.
    key = models.ForeignKey(
        ApiKey,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="generations",
        verbose_name=_("ключ"),
    )
    created_at = models.DateTimeField(_("принята"), db_index=True)

    request_id = models.TextField(_("номер запроса"))
    client_request_id = models.TextField(_("номер запроса у клиента"), blank=True)
    session_id = models.TextField(_("сессия"), blank=True)
    user = models.TextField(_("конечный пользователь"), blank=True)

    model_requested = models.TextField(_("запрошенная модель"))
    model = models.TextField(_("модель"), blank=True)
    provider = models.TextField(_("провайдер"), blank=True)
    upstream_model = models.TextField(_("модель у провайдера"), blank=True)
    attempts = models.JSONField(_("попытки"), default=list, blank=True)
    dropped_fields = ArrayField(
        models.TextField(), verbose_name=_("непереданные поля"), default=list, blank=True
    )
    route = models.JSONField(
        _("выбор исполнителя"),
        null=True,
        blank=True,
        help_text=_("Вопрос, по которому выбраны исполнители, и ответ; текстов запроса здесь нет."),
    )

    # How the answer was to be drawn, as far as the provider was told.
    temperature = models.FloatField("temperature", null=True, blank=True)
    top_p = models.FloatField("top_p", null=True, blank=True)
    repetition_penalty = models.FloatField("repetition_penalty", null=True, blank=True)

    is_test = models.BooleanField(_("тестовая"), default=False)
    streamed = models.BooleanField(_("потоком"), default=False)
    cancelled = models.BooleanField(_("клиент ушёл"), default=False)
    status = models.CharField(_("исход"), max_length=10, choices=GenerationStatus)
    http_status = models.PositiveSmallIntegerField(_("ответ HTTP"), default=0)
    error_type = models.TextField(_("вид ошибки"), blank=True)
    finish_reason = models.TextField(_("причина окончания"), blank=True)
    native_finish_reason = models.TextField(_("причина окончания у провайдера"), blank=True)

    tokens_prompt = models.PositiveIntegerField(_("токенов запроса"), default=0)
    tokens_completion = models.PositiveIntegerField(_("токенов ответа"), default=0)
    tokens_cached = models.PositiveIntegerField(_("из них из кеша"), default=0)
    tokens_reasoning = models.PositiveIntegerField(_("из них рассуждений"), default=0)
    usage_source = models.CharField(
        _("откуда число токенов"), max_length=10, choices=UsageSource, default=UsageSource.NONE
    )
    cost = MicroField(_("стоимость, ₽"), default=0)
    held = MicroField(_("резерв, ₽"), default=0)
    refunded = MicroField(_("возвращено, ₽"), default=0)
    own_cost = MicroField(_("себестоимость, ₽"), default=0)
    price = models.JSONField(
        _("цены при приёме"),
        default=dict,
        blank=True,
        help_text=_("Миллионные доли рубля за миллион токенов."),
    )
    held_at = models.DateTimeField(_("резерв создан"), null=True, blank=True)
    settled_at = models.DateTimeField(_("рассчитана"), null=True, blank=True)

    first_token_ms = models.PositiveIntegerField(_("до первого токена, мс"), null=True, blank=True)
    duration_ms = models.PositiveIntegerField(_("всего, мс"), default=0)
    upstream_ms = models.PositiveIntegerField(_("у провайдера, мс"), null=True, blank=True)
    overhead_ms = models.FloatField(_("у нас, мс"), null=True, blank=True)

    class Meta:
        verbose_name = _("генерация")
        verbose_name_plural = _("генерации")
        ordering = ["-created_at"]
        permissions = [
            ("refund_generation", _("Может возвращать деньги за генерацию")),
            ("export_generation", _("Может выгружать генерации")),
        ]
        indexes = [
            models.Index(fields=["client", "-created_at"], name="generation_of_client"),
            # All that ``billing.sampling`` reads: it does not look at the rows.
            models.Index(
                fields=["created_at"],
                include=["model", "client", "temperature", "top_p", "repetition_penalty"],
                condition=Q(is_test=False)
                & (
                    Q(temperature__isnull=False)
                    | Q(top_p__isnull=False)
                    | Q(repetition_penalty__isnull=False)
                ),
                name="generation_sampling",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=GenerationStatus.values), name="generation_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(usage_source__in=UsageSource.values), name="generation_usage_source_is_known"
            ),
            models.CheckConstraint(condition=Q(cost__gte=0), name="generation_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("cost")), name="generation_refund_within_cost"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def margin(self) -> Micro:
        """What we are left with: the cost, less what was given back and what the provider takes."""
        return self.cost - self.refunded - self.own_cost

    def refundable(self) -> Micro:
        return self.cost - self.refunded
