"""Sums of minutes of the latest hours, marks that name the minute, and how fast models were by the hour.

A mark without a minute, as all that were set before this, has its hour counted as a whole.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import billing.fields

MARK = """
CREATE OR REPLACE FUNCTION billing_mark_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_usagemark (hour, minute)
    SELECT DISTINCT date_trunc('hour', created_at, 'UTC'), date_trunc('minute', created_at, 'UTC') FROM changed;
    RETURN NULL;
END $$;
"""
UNMARK = """
CREATE OR REPLACE FUNCTION billing_mark_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_usagemark (hour) SELECT DISTINCT date_trunc('hour', created_at, 'UTC') FROM changed;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_invitations"),
        ("billing", "0018_notices"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagemark",
            name="minute",
            field=models.DateTimeField(help_text="Нет — весь час.", null=True, verbose_name="минута"),
        ),
        migrations.AlterField(
            model_name="usagehour",
            name="client",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="accounts.client",
                verbose_name="клиент",
            ),
        ),
        migrations.AlterField(
            model_name="usagehour",
            name="key",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="accounts.apikey",
                verbose_name="ключ",
            ),
        ),
        migrations.CreateModel(
            name="UsagePace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField(verbose_name="час")),
                ("model", models.TextField(verbose_name="модель")),
                ("provider", models.TextField(blank=True, verbose_name="провайдер")),
                ("answers", models.PositiveBigIntegerField(verbose_name="ответов")),
                (
                    "durations",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveBigIntegerField(),
                        size=None,
                        verbose_name="ответы по длительности",
                    ),
                ),
            ],
            options={
                "verbose_name": "скорость за час",
                "verbose_name_plural": "скорости по часам",
                "ordering": ["-hour"],
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "model", "provider"), name="usage_pace_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="UsageMinute",
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
                ("minute", models.DateTimeField(verbose_name="минута")),
                (
                    "client",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
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
                        related_name="+",
                        to="accounts.apikey",
                        verbose_name="ключ",
                    ),
                ),
            ],
            options={
                "verbose_name": "минута расхода",
                "verbose_name_plural": "минуты расхода",
                "ordering": ["-minute"],
                "indexes": [
                    models.Index(fields=["minute"], name="usage_minute"),
                    models.Index(fields=["hour"], name="usage_minute_hour"),
                ],
            },
        ),
        migrations.RunSQL(MARK, UNMARK),
    ]
