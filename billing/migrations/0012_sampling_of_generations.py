"""A generation keeps how the answer was to be drawn, and the medians of that have a table."""

from importlib import import_module

from django.db import migrations, models

before = import_module("billing.migrations.0011_generation_route")

BROUGHT = f"{before.BROUGHT}, route"
WITH_SAMPLING = before.WITH_ROUTE.replace(BROUGHT, f"{BROUGHT}, temperature, top_p, repetition_penalty")


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_generation_route")]

    operations = [
        migrations.AddField(
            "generation", "temperature", models.FloatField("temperature", blank=True, null=True)
        ),
        migrations.AddField("generation", "top_p", models.FloatField("top_p", blank=True, null=True)),
        migrations.AddField(
            "generation",
            "repetition_penalty",
            models.FloatField("repetition_penalty", blank=True, null=True),
        ),
        migrations.RunSQL(WITH_SAMPLING, before.WITH_ROUTE),
        migrations.AddIndex(
            "generation",
            models.Index(
                condition=models.Q(
                    ("is_test", False),
                    models.Q(
                        ("temperature__isnull", False),
                        ("top_p__isnull", False),
                        ("repetition_penalty__isnull", False),
                        _connector="OR",
                    ),
                ),
                fields=["created_at"],
                include=["model", "client", "temperature", "top_p", "repetition_penalty"],
                name="generation_sampling",
            ),
        ),
        migrations.CreateModel(
            name="SamplingMedian",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.TextField(verbose_name="модель")),
                ("parameter", models.CharField(max_length=20, verbose_name="параметр")),
                ("value", models.FloatField(verbose_name="медиана")),
                ("requests", models.PositiveBigIntegerField(verbose_name="запросов")),
                ("clients", models.PositiveIntegerField(verbose_name="клиентов")),
                ("worked_out_at", models.DateTimeField(verbose_name="посчитана")),
            ],
            options={
                "verbose_name": "обычный параметр",
                "verbose_name_plural": "обычные параметры",
                "ordering": ["model", "parameter"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "parameter"), name="sampling_median_once_per_parameter"
                    )
                ],
            },
        ),
    ]
