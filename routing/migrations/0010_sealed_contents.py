"""What requests said and were answered, sealed, of clients that asked for it to be kept."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_opted_in_contents"),
        ("routing", "0009_readers_of_models"),
    ]

    operations = [
        migrations.CreateModel(
            name="Content",
            fields=[
                (
                    "generation",
                    models.UUIDField(primary_key=True, serialize=False, verbose_name="номер генерации"),
                ),
                ("began_at", models.DateTimeField(verbose_name="принята")),
                ("vault_key_id", models.CharField(max_length=50, verbose_name="ключ хранилища")),
                ("question", models.BinaryField(verbose_name="запрос")),
                ("answer", models.BinaryField(verbose_name="ответ")),
                ("question_is_cut", models.BooleanField(default=False, verbose_name="запрос обрезан")),
                ("answer_is_cut", models.BooleanField(default=False, verbose_name="ответ обрезан")),
                (
                    "client",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="contents",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
            ],
            options={
                "verbose_name": "содержание запроса",
                "verbose_name_plural": "содержание запросов",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["client", "began_at"], name="content_of_client")],
            },
        ),
        # What is sealed does not shrink any more: PostgreSQL need not try.
        migrations.RunSQL(
            "ALTER TABLE routing_content ALTER question SET STORAGE EXTERNAL, ALTER answer SET STORAGE EXTERNAL",
            migrations.RunSQL.noop,
        ),
    ]
