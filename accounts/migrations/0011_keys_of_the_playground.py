"""Keys by which the dashboard's playground asks, one of each member of a client."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_management_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="for_playground",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Им обращается песочница кабинета; самого ключа нет ни у кого.",
                verbose_name="песочница",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("for_playground", True)),
                fields=("client", "created_by"),
                name="key_of_playground_once_per_person",
            ),
        ),
    ]
