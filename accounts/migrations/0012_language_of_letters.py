"""The language that a person has chosen for pages: letters to him are in it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_keys_of_the_playground"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=5,
                verbose_name="язык писем",
            ),
        ),
    ]
