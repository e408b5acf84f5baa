"""People sign up by themselves: what they call their organisation, and what they agreed to."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_opted_in_contents"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="organisation",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=150,
                verbose_name="организация, названная при регистрации",
            ),
        ),
        migrations.CreateModel(
            name="Consent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "document",
                    models.CharField(
                        choices=[
                            ("personal-data", "согласие на обработку персональных данных"),
                            ("terms", "условия использования"),
                        ],
                        max_length=20,
                        verbose_name="документ",
                    ),
                ),
                ("version", models.CharField(max_length=10, verbose_name="редакция")),
                ("given_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="когда")),
                ("address", models.GenericIPAddressField(blank=True, null=True, verbose_name="IP-адрес")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="человек",
                    ),
                ),
            ],
            options={
                "verbose_name": "согласие",
                "verbose_name_plural": "согласия",
                "ordering": ["-given_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "document", "version"), name="consent_once_per_version"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("document__in", ["personal-data", "terms"])),
                        name="consent_document_is_known",
                    ),
                ],
            },
        ),
    ]
