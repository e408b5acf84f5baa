"""Who may give roles; the journal of changes; announcements and switches."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_routing_preferences"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Switch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The human/computer readable name.",
                        max_length=100,
                        unique=True,
                        verbose_name="Name",
                    ),
                ),
                (
                    "active",
                    models.BooleanField(
                        default=False, help_text="Is this switch active?", verbose_name="Active"
                    ),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True, help_text="Note where this Switch is used.", verbose_name="Note"
                    ),
                ),
                (
                    "created",
                    models.DateTimeField(
                        db_index=True,
                        default=django.utils.timezone.now,
                        help_text="Date when this Switch was created.",
                        verbose_name="Created",
                    ),
                ),
                (
                    "modified",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="Date when this Switch was last modified.",
                        verbose_name="Modified",
                    ),
                ),
            ],
            options={
                "verbose_name": "переключатель",
                "verbose_name_plural": "переключатели",
                "abstract": False,
            },
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "ordering": ["email"],
                "permissions": [("change_roles", "Может назначать сотрудников и их роли")],
                "verbose_name": "человек",
                "verbose_name_plural": "люди",
            },
        ),
        migrations.CreateModel(
            name="Announcement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "text",
                    models.TextField(
                        help_text="Простой текст, без разметки.", max_length=1000, verbose_name="текст"
                    ),
                ),
                (
                    "text_en",
                    models.TextField(
                        blank=True,
                        help_text="Пусто — покажем русский.",
                        max_length=1000,
                        verbose_name="текст по-английски",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("info", "сообщение"), ("warning", "предупреждение"), ("incident", "сбой")],
                        default="info",
                        max_length=10,
                        verbose_name="вид",
                    ),
                ),
                (
                    "audience",
                    models.CharField(
                        choices=[("everybody", "всем"), ("signed_in", "тем, кто вошёл")],
                        default="everybody",
                        max_length=10,
                        verbose_name="кому",
                    ),
                ),
                (
                    "starts_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Пусто — черновик: не видит никто.",
                        null=True,
                        verbose_name="показывать с",
                    ),
                ),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Пусто — пока не снимут.",
                        null=True,
                        verbose_name="показывать до",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="создано"
                    ),
                ),
            ],
            options={
                "verbose_name": "объявление",
                "verbose_name_plural": "объявления",
                "ordering": ["-created_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["info", "warning", "incident"])),
                        name="announcement_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("audience__in", ["everybody", "signed_in"])),
                        name="announcement_audience_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("starts_at", None),
                            ("ends_at", None),
                            ("ends_at__gt", models.F("starts_at")),
                            _connector="OR",
                        ),
                        name="announcement_ends_after_it_starts",
                        violation_error_message="Показ заканчивается раньше, чем начинается.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("object_pk", models.CharField(db_index=True, max_length=255, verbose_name="object pk")),
                (
                    "object_id",
                    models.BigIntegerField(blank=True, db_index=True, null=True, verbose_name="object id"),
                ),
                ("object_repr", models.TextField(verbose_name="object representation")),
                ("serialized_data", models.JSONField(null=True)),
                (
                    "action",
                    models.PositiveSmallIntegerField(
                        choices=[(0, "create"), (1, "update"), (2, "delete"), (3, "access")],
                        db_index=True,
                        verbose_name="action",
                    ),
                ),
                ("changes_text", models.TextField(blank=True, verbose_name="change message")),
                ("changes", models.JSONField(null=True, verbose_name="change message")),
                (
                    "cid",
                    models.CharField(
                        blank=True, db_index=True, max_length=255, null=True, verbose_name="Correlation ID"
                    ),
                ),
                (
                    "remote_addr",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="remote address"),
                ),
                (
                    "remote_port",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="remote port"),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_index=True, default=django.utils.timezone.now, verbose_name="timestamp"
                    ),
                ),
                ("additional_data", models.JSONField(blank=True, null=True, verbose_name="additional data")),
                (
                    "actor_email",
                    models.CharField(blank=True, max_length=254, null=True, verbose_name="actor email"),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="actor",
                    ),
                ),
                (
                    "content_type",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contenttypes.contenttype",
                        verbose_name="content type",
                    ),
                ),
            ],
            options={
                "verbose_name": "запись журнала",
                "verbose_name_plural": "журнал изменений",
                "ordering": ["-timestamp"],
                "get_latest_by": "timestamp",
                "abstract": False,
            },
        ),
    ]
