import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0002_private_networks_are_welcome"),
    ]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="region",
            field=models.CharField(
                default="ru",
                help_text="Где обрабатываются запросы; две буквы ISO 3166.",
                max_length=2,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[a-z]{2}$", "Две строчные латинские буквы ISO 3166, например ru."
                    )
                ],
                verbose_name="страна",
            ),
        ),
        migrations.AddField(
            model_name="provider",
            name="collects_data",
            field=models.BooleanField(
                default=False,
                help_text="Таких не спрашивают, если клиент просит data_collection: deny.",
                verbose_name="учится на запросах клиентов",
            ),
        ),
        migrations.AddConstraint(
            model_name="provider",
            constraint=models.CheckConstraint(
                condition=models.Q(("region__regex", "^[a-z]{2}$")), name="provider_region_is_two_letters"
            ),
        ),
    ]
