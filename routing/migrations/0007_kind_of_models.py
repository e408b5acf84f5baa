import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0006_model_quality"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="endpoint",
            name="endpoint_features_are_known",
        ),
        migrations.RemoveConstraint(
            model_name="model",
            name="model_answer_fits_context",
        ),
        migrations.AddField(
            model_name="model",
            name="kind",
            field=models.CharField(
                choices=[("chat", "чат"), ("embeddings", "векторы текстов")],
                default="chat",
                help_text="Модели векторов спрашивают через /v1/embeddings; наибольший ответ у них 0.",
                max_length=10,
                verbose_name="вид",
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="features",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("streaming", "поток"),
                        ("json_object", "ответ в JSON"),
                        ("json_schema", "ответ по схеме"),
                        ("vision", "изображения"),
                        ("reasoning", "рассуждения"),
                        ("dimensions", "размер векторов"),
                    ],
                    max_length=20,
                ),
                blank=True,
                default=list,
                help_text="Через запятую: streaming, json_object, json_schema, vision, reasoning, dimensions.",
                size=None,
                verbose_name="возможности",
            ),
        ),
        migrations.AlterField(
            model_name="model",
            name="max_output",
            field=models.PositiveIntegerField(verbose_name="наибольший ответ, токенов"),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "features__contained_by",
                        ["streaming", "json_object", "json_schema", "vision", "reasoning", "dimensions"],
                    )
                ),
                name="endpoint_features_are_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["chat", "embeddings"])), name="model_kind_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("context_length__gt", 0), ("context_length__gte", models.F("max_output"))
                ),
                name="model_answer_fits_context",
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "chat"), ("max_output__gt", 0)),
                    models.Q(("kind", "embeddings"), ("max_output", 0)),
                    _connector="OR",
                ),
                name="model_answers_if_it_chats",
            ),
        ),
    ]
