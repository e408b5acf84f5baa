from django.db import migrations, models

import accounts.preferences


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="client",
            name="routing",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Как provider в запросе, например {"sort": "price"}. Что указано в запросе или у ключа, важнее.',
                validators=[accounts.preferences.validate_preferences],
                verbose_name="предпочтения маршрутизации",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="routing",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Как provider в запросе, например {"sort": "price"}. Что указано в запросе, важнее; что здесь — важнее, чем у клиента.',
                validators=[accounts.preferences.validate_preferences],
                verbose_name="предпочтения маршрутизации",
            ),
        ),
    ]
