"""A generation keeps how it was decided who would answer it."""

from importlib import import_module

from django.db import migrations, models

tellers = import_module("billing.migrations.0006_tellers_functions")

REPLACED = tellers.SETTLE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
BROUGHT = tellers.BROUGHT.strip()
WITH_ROUTE = REPLACED.replace(BROUGHT, f"{BROUGHT}, route")


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_account_for_adjustments")]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="route",
            field=models.JSONField(
                blank=True,
                help_text="Вопрос, по которому выбраны исполнители, и ответ; текстов запроса здесь нет.",
                null=True,
                verbose_name="выбор исполнителя",
            ),
        ),
        migrations.RunSQL(WITH_ROUTE, REPLACED),
    ]
