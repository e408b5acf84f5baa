"""Sums of generations by the hour, and triggers that mark which hours have to be counted anew.

By statement and not by row: a teller's batch sets one mark or two. Marks are only added, never looked at, so
nobody who writes a generation waits for anybody else who does. What was there before has no mark yet: see
``manage.py usage_backfill``.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.fields

MARK = """
CREATE FUNCTION billing_mark_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_usagemark (hour) SELECT DISTINCT date_trunc('hour', created_at, 'UTC') FROM changed;
    RETURN NULL;
END $$;

CREATE TRIGGER usage_of_new AFTER INSERT ON billing_generation
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION billing_mark_usage();
CREATE TRIGGER usage_of_changed AFTER UPDATE ON billing_generation
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION billing_mark_usage();
CREATE TRIGGER usage_before_change AFTER UPDATE ON billing_generation
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION billing_mark_usage();
CREATE TRIGGER usage_of_gone AFTER DELETE ON billing_generation
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION billing_mark_usage();
"""
UNMARK = """
DROP TRIGGER usage_of_new ON billing_generation;
DROP TRIGGER usage_of_changed ON billing_generation;
DROP TRIGGER usage_before_change ON billing_generation;
DROP TRIGGER usage_of_gone ON billing_generation;
DROP FUNCTION billing_mark_usage();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_opted_in_contents"),
        ("billing", "0015_signed_promo_codes_and_overdrafts"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField(verbose_name="час")),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="отмечен"
                    ),
                ),
            ],
            options={
                "verbose_name": "отметка часа",
                "verbose_name_plural": "отметки часов",
                "indexes": [models.Index(fields=["hour"], name="usage_mark_hour")],
            },
        ),
        migrations.CreateModel(
            name="UsageHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "hour",
                    models.DateTimeField(
                        help_text="Его начало; у всего мира часы начинаются вместе.", verbose_name="час"
                    ),
                ),
                (
                    "model",
                    models.TextField(
                        help_text="Кто отвечал; если никто — кого просили.", verbose_name="модель"
                    ),
                ),
                ("provider", models.TextField(blank=True, verbose_name="провайдер")),
                ("requests", models.PositiveBigIntegerField(verbose_name="запросов")),
                ("answers", models.PositiveBigIntegerField(verbose_name="ответов")),
                ("errors", models.PositiveBigIntegerField(verbose_name="ошибок")),
                ("cancelled", models.PositiveBigIntegerField(verbose_name="прервано клиентом")),
                ("tokens_prompt", models.PositiveBigIntegerField(verbose_name="токенов запроса")),
                ("tokens_completion", models.PositiveBigIntegerField(verbose_name="токенов ответа")),
                ("tokens_cached", models.PositiveBigIntegerField(verbose_name="из них из кеша")),
                ("tokens_reasoning", models.PositiveBigIntegerField(verbose_name="из них рассуждений")),
                ("cost", billing.fields.MicroField(verbose_name="стоимость, ₽")),
                ("refunded", billing.fields.MicroField(verbose_name="возвращено, ₽")),
                ("duration_ms", models.PositiveBigIntegerField(verbose_name="ответы вместе, мс")),
                (
                    "durations",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(),
                        help_text="Сколько ответов в каждом классе; границы — в billing/durations.py.",
                        size=None,
                        verbose_name="ответы по длительности",
                    ),
                ),
                (
                    "first_token_ms",
                    models.PositiveBigIntegerField(verbose_name="до первых токенов вместе, мс"),
                ),
                ("first_tokens", models.PositiveBigIntegerField(verbose_name="ответов с первым токеном")),
                (
                    "client",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="usage_hours",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="usage_hours",
                        to="accounts.apikey",
                        verbose_name="ключ",
                    ),
                ),
            ],
            options={
                "verbose_name": "час расхода",
                "verbose_name_plural": "часы расхода",
                "ordering": ["-hour"],
                "indexes": [models.Index(fields=["hour"], name="usage_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("client", "hour", "key", "model", "provider"),
                        name="usage_hour_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "requests",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("answers"), "+", models.F("errors")
                                    ),
                                    "+",
                                    models.F("cancelled"),
                                ),
                            )
                        ),
                        name="usage_hour_every_request_ended_once",
                    ),
                ],
            },
        ),
        migrations.RunSQL(MARK, UNMARK),
    ]
