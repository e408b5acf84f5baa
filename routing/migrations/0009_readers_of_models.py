import django.contrib.postgres.fields
from django.db import migrations, models

# What lists meant when an empty one was everybody.
AS_BEFORE = """
WITH named AS (SELECT DISTINCT model_id FROM routing_model_clients)
UPDATE routing_model
SET visible_to = CASE
    WHEN plans = '{}' THEN 'clients'
    WHEN id IN (SELECT model_id FROM named) THEN 'both'
    ELSE 'plans'
END
WHERE plans <> '{}' OR id IN (SELECT model_id FROM named)
"""
# On the way back what is for nobody is switched off: it would be for everybody.
NOT_OPENED = """
UPDATE routing_model AS model SET is_enabled = false
WHERE visible_to IN ('plans', 'both') AND plans = '{}' OR visible_to IN ('clients', 'both')
AND NOT EXISTS (SELECT FROM routing_model_clients WHERE model_id = model.id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_exported_clients"),
        ("billing", "0014_indexes_of_transfers"),
        ("routing", "0008_visibility_of_models"),
    ]

    operations = [
        migrations.AddField(
            model_name="model",
            name="visible_to",
            field=models.CharField(
                choices=[
                    ("all", "всем"),
                    ("plans", "тем, чей тариф доступа отмечен"),
                    ("clients", "названным клиентам"),
                    ("both", "названным клиентам на отмеченных тарифах"),
                ],
                default="all",
                help_text="Для остальных такой модели нет.",
                max_length=7,
                verbose_name="кому видна",
            ),
        ),
        # With the field and not apart: in between, models that are for some would be for all.
        migrations.RunSQL(AS_BEFORE, NOT_OPENED),
        migrations.AlterField(
            model_name="model",
            name="clients",
            field=models.ManyToManyField(
                blank=True,
                help_text="Если видна названным: пусто — никому.",
                related_name="models_of_its_own",
                to="accounts.client",
                verbose_name="видна клиентам",
            ),
        ),
        migrations.AlterField(
            model_name="model",
            name="plans",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[("free", "бесплатный"), ("paid", "платный")], max_length=4
                ),
                blank=True,
                default=list,
                help_text="Если видна по тарифам: ничего не отмечено — никому.",
                size=None,
                verbose_name="видна на тарифах доступа",
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(("visible_to__in", ["all", "plans", "clients", "both"])),
                name="model_readers_are_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(("plans", []), ("visible_to__in", ["both", "plans"]), _connector="OR"),
                name="model_plans_have_a_part",
                violation_error_message="Тарифы доступа отмечены, но по ним модель не видна.",
            ),
        ),
    ]
