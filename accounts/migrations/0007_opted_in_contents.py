"""A client may ask for what its requests say to be kept, for so many days."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_exported_clients"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="client",
            options={
                "ordering": ["name"],
                "permissions": [
                    ("block_client", "Может блокировать и разблокировать клиентов"),
                    ("view_as_client", "Может смотреть кабинет глазами клиента"),
                    ("export_client", "Может выгружать клиентов"),
                    ("keep_content", "Может включать и выключать хранение содержания запросов"),
                ],
                "verbose_name": "клиент",
                "verbose_name_plural": "клиенты",
            },
        ),
        migrations.AddField(
            model_name="client",
            name="content_days",
            field=models.PositiveSmallIntegerField(
                db_default=7,
                default=7,
                editable=False,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(30),
                ],
                verbose_name="дней хранения содержания",
            ),
        ),
        migrations.AddField(
            model_name="client",
            name="content_since",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="содержание запросов хранится с"
            ),
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.CheckConstraint(
                condition=models.Q(("content_days__gte", 1), ("content_days__lte", 30)),
                name="client_content_days_are_known",
            ),
        ),
    ]
