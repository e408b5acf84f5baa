import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("routing", "0003_own_cost_and_density")]

    operations = [
        migrations.CreateModel(
            name="CatalogueVersion",
            fields=[
                (
                    "version",
                    models.CharField(max_length=16, primary_key=True, serialize=False, verbose_name="версия"),
                ),
                ("description", models.JSONField(verbose_name="содержание")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="появилась"),
                ),
            ],
            options={
                "verbose_name": "версия каталога",
                "verbose_name_plural": "версии каталога",
                "ordering": ["-created_at"],
            },
        ),
    ]
