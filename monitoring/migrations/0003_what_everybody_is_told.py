"""What everybody is told of incidents, and how long providers were in which condition."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0002_incidents_and_balances"),
        ("providers", "0004_credentials_of_a_moved_provider"),
    ]

    operations = [
        migrations.AddField(
            model_name="incident",
            name="is_hidden",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Сбои провайдеров видны там сами, остальное — когда опубликовано сообщение.",
                verbose_name="не показывать на странице состояния",
            ),
        ),
        migrations.CreateModel(
            name="Bulletin",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="когда")),
                ("author", models.CharField(blank=True, editable=False, max_length=150, verbose_name="кто")),
                ("title", models.CharField(max_length=200, verbose_name="заголовок")),
                (
                    "title_en",
                    models.CharField(blank=True, max_length=200, verbose_name="заголовок по-английски"),
                ),
                ("text", models.TextField(verbose_name="текст")),
                (
                    "text_en",
                    models.TextField(
                        blank=True,
                        help_text="Пусто — показывается русский.",
                        verbose_name="текст по-английски",
                    ),
                ),
                ("is_public", models.BooleanField(default=True, verbose_name="опубликовано")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="bulletins",
                        to="monitoring.incident",
                        verbose_name="инцидент",
                    ),
                ),
            ],
            options={
                "verbose_name": "сообщение о сбое",
                "verbose_name_plural": "сообщения о сбоях",
                "ordering": ["-at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="HealthHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField(db_index=True, verbose_name="час")),
                (
                    "operational",
                    models.PositiveSmallIntegerField(default=0, verbose_name="минут всё работало"),
                ),
                ("degraded", models.PositiveSmallIntegerField(default=0, verbose_name="минут со сбоями")),
                ("down", models.PositiveSmallIntegerField(default=0, verbose_name="минут не работало")),
                ("counted_at", models.DateTimeField(verbose_name="последняя минута")),
                (
                    "provider",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="health_hours",
                        to="providers.provider",
                        verbose_name="провайдер",
                    ),
                ),
            ],
            options={
                "verbose_name": "час состояния",
                "verbose_name_plural": "часы состояния",
                "ordering": ["-hour"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "hour"), name="health_hour_once", nulls_distinct=False
                    )
                ],
            },
        ),
    ]
