import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0004_catalogue_versions"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="context_length",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Если не такой, как у модели.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
                verbose_name="контекст, токенов",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="max_output",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Если не такой, как у модели.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
                verbose_name="наибольший ответ, токенов",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="circuit",
            field=models.CharField(
                choices=[
                    ("auto", "сам"),
                    ("closed", "всегда замкнут: здоровье не учитывается"),
                    ("open", "разомкнут: не спрашивать"),
                ],
                default="auto",
                max_length=6,
                verbose_name="предохранитель",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("context_length__gt", 0), ("max_output__gt", 0)),
                name="endpoint_sizes_are_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("circuit__in", ["auto", "closed", "open"])),
                name="endpoint_circuit_is_known",
            ),
        ),
    ]
