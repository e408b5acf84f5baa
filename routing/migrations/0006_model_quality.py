from django.db import migrations, models

import routing.models


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0005_sizes_and_circuit_of_endpoints"),
    ]

    operations = [
        migrations.AddField(
            model_name="model",
            name="quality",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Оценки от 0 до 100: general и, где отличаются, виды задач (code, math…). По ним выбирает xrouter/auto; пусто — не выбирает никогда.",
                validators=[routing.models.validate_quality],
                verbose_name="качество",
            ),
        ),
    ]
