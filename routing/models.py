"""The catalogue: what customers ask for, under which names, and who can answer."""

import math
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Client, Plan
from billing.models import Tariff
from providers.models import Provider, validate_object, validate_options
from routing.classifier import KINDS
from routing.contents.models import Content  # noqa: F401 - a model of this app in a module of its own
from routing.pages.models import Density  # noqa: F401 - likewise
from routing.playground.models import Conversation  # noqa: F401 - likewise
from routing.scoring import BEST, GENERAL
from routing.wishes import SUFFIXES, split_suffix

SLUG = r"^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._:-]*$"
# The model that is ours to choose; no other may be called so.
AUTO = "xrouter/auto"
RESERVED = _("Так называется автоматический выбор модели.")
SUFFIXED = format_lazy(
    _("Окончания {suffixes} заняты: так к имени приписывают пожелания."),
    suffixes=", ".join(f":{suffix}" for suffix in SUFFIXES),
)
LONGER_THAN_CONTEXT = _("Ответ не может быть длиннее контекста.")


class Version(models.TextChoices):
    LATEST = "latest", _("стабильная")
    RC = "rc", _("ранний доступ")
    DEPRECATED = "deprecated", _("устаревшая")


def validate_quality(value: Any) -> None:
    """Accept marks from 0 to 100 by kind of task: none at all, or a general one and any others."""
    validate_object(value)
    known = (GENERAL, *KINDS)
    if unknown := ", ".join(sorted(value.keys() - set(known))):
        raise ValidationError(
            _("Неизвестные виды задач: %(unknown)s. Есть %(known)s."),
            params={"unknown": unknown, "known": ", ".join(known)},
        )
    if not all(type(mark) in {int, float} and 0 <= mark <= BEST for mark in value.values()):
        raise ValidationError(_("Оценка — число от 0 до %(best)s."), params={"best": BEST})
    if value and GENERAL not in value:
        raise ValidationError(
            _("Нужна оценка %(general)s: она действует для задач, у которых нет своей."),
            params={"general": GENERAL},
        )


class Kind(models.TextChoices):
    CHAT = "chat", _("чат")
    EMBEDDINGS = "embeddings", _("векторы текстов")


class Readers(models.TextChoices):
    """Which of a model's lists say whom it is for. One that says so and is empty says: nobody."""

    ALL = "all", _("всем")
    PLANS = "plans", _("тем, чей тариф доступа отмечен")
    CLIENTS = "clients", _("названным клиентам")
    BOTH = "both", _("названным клиентам на отмеченных тарифах")


# By which lists go.
BY_PLAN = frozenset({Readers.PLANS, Readers.BOTH})
BY_CLIENT = frozenset({Readers.CLIENTS, Readers.BOTH})


class ModelQuerySet(models.QuerySet["Model"]):
    def shown_to(self, plan: str = "", client_id: int | None = None) -> Self:
        """What a client of ``plan`` may see; what everybody may, where neither is said.

        Requests ask ``catalogue.Card.is_for`` the same.
        """
        named = Model.clients.through.objects.filter(model_id=OuterRef("pk"), client_id=client_id)
        return self.filter(
            ~Q(visible_to__in=BY_PLAN) | Q(plans__contains=[plan]),
            ~Q(visible_to__in=BY_CLIENT) | Exists(named),
        )


class Model(models.Model):
    """What customers ask for and what it costs them.

    ``visible_to`` says for whom it is, and whether ``plans`` and ``clients`` have a part in it.
    """

    slug = models.CharField(
        pgettext_lazy("slug", "имя"),
        max_length=100,
        unique=True,
        validators=[
            RegexValidator(SLUG, _("Имя вида gigachat/pro или yandexgpt/pro:rc, строчными буквами."))
        ],
    )
    name = models.CharField(_("название"), max_length=100)
    provider_name = models.SlugField(
        _("семейство"), max_length=50, help_text=_("Что клиент видит как provider.")
    )
    version = models.CharField(_("версия"), max_length=10, choices=Version, blank=True)
    kind = models.CharField(
        _("вид"),
        max_length=10,
        choices=Kind,
        default=Kind.CHAT,
        help_text=_("Модели векторов спрашивают через /v1/embeddings; наибольший ответ у них 0."),
    )
    description = models.TextField(_("описание"), blank=True)
    tariff = models.ForeignKey(Tariff, models.PROTECT, related_name="models", verbose_name=_("тариф"))
    context_length = models.PositiveIntegerField(_("контекст, токенов"), validators=[MinValueValidator(1)])
    max_output = models.PositiveIntegerField(_("наибольший ответ, токенов"))
    characters_per_token = models.FloatField(
        _("знаков на токен, не меньше"),
        default=2.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("Сколько знаков в токене самого плотного обычного текста: по нему считается резерв."),
    )
    max_images = models.PositiveSmallIntegerField(_("изображений в запросе"), default=0)
    tokenizer = models.CharField(_("токенизатор"), max_length=50, blank=True)
    instruct_type = models.CharField(_("тип инструкций"), max_length=50, blank=True)
    modality = models.CharField(_("модальность"), max_length=50, default="text->text")
    default_parameters = models.JSONField(
        _("параметры по умолчанию"), default=dict, blank=True, validators=[validate_object]
    )
    quality = models.JSONField(
        _("качество"),
        default=dict,
        blank=True,
        validators=[validate_quality],
        help_text=_(
            "Оценки от 0 до 100: general и, где отличаются, виды задач (code, math…). "
            "По ним выбирает xrouter/auto; пусто — не выбирает никогда."
        ),
    )
    created_at = models.DateTimeField(_("появилась"), default=timezone.now)
    is_enabled = models.BooleanField(_("включена"), default=True)
    visible_to = models.CharField(
        _("кому видна"),
        max_length=7,
        choices=Readers,
        default=Readers.ALL,
        help_text=_("Для остальных такой модели нет."),
    )
    plans = ArrayField(
        models.CharField(max_length=4, choices=Plan),
        verbose_name=_("видна на тарифах доступа"),
        default=list,
        blank=True,
        help_text=_("Если видна по тарифам: ничего не отмечено — никому."),
    )
    clients = models.ManyToManyField(
        Client,
        blank=True,
        related_name="models_of_its_own",
        verbose_name=_("видна клиентам"),
        help_text=_("Если видна названным: пусто — никому."),
    )

    objects = ModelQuerySet.as_manager()

    class Meta:
        verbose_name = _("модель")
        verbose_name_plural = _("модели")
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=SLUG), name="model_slug_is_lower_case"),
            models.CheckConstraint(
                condition=Q(version__in=["", *Version.values]), name="model_version_is_known"
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="model_kind_is_known"),
            models.CheckConstraint(
                condition=Q(plans__contained_by=Plan.values), name="model_plans_are_known"
            ),
            models.CheckConstraint(
                condition=Q(visible_to__in=Readers.values), name="model_readers_are_known"
            ),
            models.CheckConstraint(
                condition=Q(plans=[]) | Q(visible_to__in=sorted(BY_PLAN)),
                name="model_plans_have_a_part",
                violation_error_message=_("Тарифы доступа отмечены, но по ним модель не видна."),
            ),
            models.CheckConstraint(
                condition=Q(context_length__gt=0, context_length__gte=models.F("max_output")),
                name="model_answer_fits_context",
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.CHAT, max_output__gt=0) | Q(kind=Kind.EMBEDDINGS, max_output=0),
                name="model_answers_if_it_chats",
            ),
            models.CheckConstraint(
                condition=Q(characters_per_token__gt=0), name="model_characters_per_token_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        if self.slug == AUTO:
            raise ValidationError({"slug": RESERVED})
        if split_suffix(self.slug)[1]:
            raise ValidationError({"slug": SUFFIXED})
        if (self.kind == Kind.EMBEDDINGS) is (self.max_output != 0):
            raise ValidationError({"max_output": _("У модели чата он больше 0, у модели векторов — 0.")})
        if Alias.objects.filter(name__iexact=self.slug).exists():
            raise ValidationError({"slug": _("Так уже называют другую модель.")})
        if (self.max_output or 0) > (self.context_length or math.inf):
            raise ValidationError({"max_output": LONGER_THAN_CONTEXT})


class Tools(models.TextChoices):
    NATIVE = "native", _("умеет сама")
    EMULATED = "emulated", _("через подсказку")
    NONE = "none", _("нет")


class Feature(models.TextChoices):
    STREAMING = "streaming", _("поток")
    JSON_OBJECT = "json_object", _("ответ в JSON")
    JSON_SCHEMA = "json_schema", _("ответ по схеме")
    VISION = "vision", _("изображения")
    REASONING = "reasoning", _("рассуждения")
    DIMENSIONS = "dimensions", _("размер векторов")


class Circuit(models.TextChoices):
    AUTO = "auto", _("сам")
    CLOSED = "closed", _("всегда замкнут: здоровье не учитывается")
    OPEN = "open", _("разомкнут: не спрашивать")


class Endpoint(models.Model):
    """One model at one provider."""

    model = models.ForeignKey(Model, models.CASCADE, related_name="endpoints", verbose_name=_("модель"))
    provider = models.ForeignKey(
        Provider, models.PROTECT, related_name="endpoints", verbose_name=_("провайдер")
    )
    upstream_name = models.CharField(_("имя у провайдера"), max_length=200)
    priority = models.PositiveSmallIntegerField(
        _("очередь"), default=1, help_text=_("Меньшее спрашивают раньше.")
    )
    weight = models.PositiveSmallIntegerField(
        _("вес"), default=100, help_text=_("Доля запросов среди равных по очереди.")
    )
    tools = models.CharField(_("вызов функций"), max_length=10, choices=Tools, default=Tools.NATIVE)
    features = ArrayField(
        models.CharField(max_length=20, choices=Feature),
        verbose_name=_("возможности"),
        default=list,
        blank=True,
        help_text=format_lazy(_("Через запятую: {features}."), features=", ".join(Feature.values)),
    )
    context_length = models.PositiveIntegerField(
        _("контекст, токенов"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Если не такой, как у модели."),
    )
    max_output = models.PositiveIntegerField(
        _("наибольший ответ, токенов"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Если не такой, как у модели."),
    )
    circuit = models.CharField(_("предохранитель"), max_length=6, choices=Circuit, default=Circuit.AUTO)
    options = models.JSONField(
        _("настройки протокола"), default=dict, blank=True, validators=[validate_object]
    )
    own_tariff = models.ForeignKey(
        Tariff,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("себестоимость"),
        help_text=_("Тариф, по которому провайдер берёт с нас; пусто — неизвестно."),
    )
    is_enabled = models.BooleanField(_("включён"), default=True)

    class Meta:
        verbose_name = _("исполнитель")
        verbose_name_plural = _("исполнители")
        ordering = ["model", "priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_name"], name="endpoint_once_per_provider"
            ),
            models.CheckConstraint(condition=Q(tools__in=Tools.values), name="endpoint_tools_are_known"),
            models.CheckConstraint(
                condition=Q(features__contained_by=Feature.values), name="endpoint_features_are_known"
            ),
            models.CheckConstraint(
                condition=Q(context_length__gt=0, max_output__gt=0), name="endpoint_sizes_are_positive"
            ),
            models.CheckConstraint(condition=Q(circuit__in=Circuit.values), name="endpoint_circuit_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.model} ← {self.provider}"

    def clean(self) -> None:
        if self.provider_id and self.provider.twin_of_id:
            raise ValidationError({"provider": _("Двойника назначать не нужно: он заменяет провайдера сам.")})
        if self.provider_id:
            validate_options(self.provider.adapter, self.options)
        if self.max_output and self.max_output > (self._context() or math.inf):
            raise ValidationError({"max_output": LONGER_THAN_CONTEXT})

    def _context(self) -> int | None:
        return self.context_length or (self.model.context_length if self.model_id else None)


class Alias(models.Model):
    """Another name of a model; capital and small letters are the same."""

    name = models.CharField(_("имя"), max_length=200)
    model = models.ForeignKey(Model, models.CASCADE, related_name="aliases", verbose_name=_("модель"))

    class Meta:
        verbose_name = _("другое имя")
        verbose_name_plural = _("другие имена")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="alias_once_in_any_case")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.name.lower() == AUTO:
            raise ValidationError({"name": RESERVED})
        if split_suffix(self.name)[1]:
            raise ValidationError({"name": SUFFIXED})
        if Alias.objects.filter(name__iexact=self.name).exclude(pk=self.pk).exists():
            raise ValidationError({"name": _("Так уже называют модель.")})
        if Model.objects.filter(slug=self.name.lower()).exists():
            raise ValidationError({"name": _("Так уже называется модель.")})


class CatalogueVersion(models.Model):
    """What the catalogue was, by what the planner looks at: decisions made then can be repeated. History."""

    version = models.CharField(_("версия"), max_length=16, primary_key=True)
    description = models.JSONField(_("содержание"))
    created_at = models.DateTimeField(_("появилась"), default=timezone.now)

    class Meta:
        verbose_name = _("версия каталога")
        verbose_name_plural = _("версии каталога")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.version


def validate_model_name(name: str) -> None:
    """Accept what customers may call a model, in any case."""
    if Model.objects.filter(slug=name.lower()).exists() or Alias.objects.filter(name__iexact=name).exists():
        return
    raise ValidationError(_("В каталоге нет модели «%(name)s»."), params={"name": name})
