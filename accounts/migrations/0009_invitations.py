"""Members of a client invite others."""

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.joining


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_sign_up"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254, verbose_name="электронная почта")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "владелец"),
                            ("admin", "администратор"),
                            ("developer", "разработчик"),
                            ("accountant", "бухгалтер"),
                        ],
                        default="developer",
                        max_length=10,
                        verbose_name="роль",
                    ),
                ),
                ("digest", models.BinaryField(max_length=32, unique=True, verbose_name="хеш")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="отправлено"),
                ),
                (
                    "expires_at",
                    models.DateTimeField(default=accounts.joining.in_a_week, verbose_name="действует до"),
                ),
                ("accepted_at", models.DateTimeField(blank=True, null=True, verbose_name="принято")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="кем приглашён",
                    ),
                ),
            ],
            options={
                "verbose_name": "приглашение",
                "verbose_name_plural": "приглашения",
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None)),
                        fields=("client", "email"),
                        name="invitation_one_open_per_address",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["owner", "admin", "developer", "accountant"])),
                        name="invitation_role_is_known",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            django.db.models.functions.text.Length("digest"), 32
                        ),
                        name="invitation_digest_is_sha256",
                    ),
                ],
            },
        ),
    ]
