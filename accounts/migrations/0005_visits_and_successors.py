"""Keys know who has taken their place; operators look through clients' eyes, and that is kept."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_roles_journal_and_notices"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apikey",
            options={
                "ordering": ["-created_at"],
                "permissions": [("rotate_apikey", "Может перевыпускать ключи")],
                "verbose_name": "API-ключ",
                "verbose_name_plural": "API-ключи",
            },
        ),
        migrations.AlterModelOptions(
            name="client",
            options={
                "ordering": ["name"],
                "permissions": [
                    ("block_client", "Может блокировать и разблокировать клиентов"),
                    ("view_as_client", "Может смотреть кабинет глазами клиента"),
                ],
                "verbose_name": "клиент",
                "verbose_name_plural": "клиенты",
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="successor",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="predecessor",
                to="accounts.apikey",
                verbose_name="заменён ключом",
            ),
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=300, verbose_name="причина")),
                ("began_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="с")),
                ("ends_at", models.DateTimeField(verbose_name="самое позднее до")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="закончено раньше")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to="accounts.client",
                        verbose_name="чьими глазами",
                    ),
                ),
                (
                    "operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="кто смотрел",
                    ),
                ),
            ],
            options={
                "verbose_name": "просмотр глазами клиента",
                "verbose_name_plural": "просмотры глазами клиента",
                "ordering": ["-began_at"],
            },
        ),
    ]
