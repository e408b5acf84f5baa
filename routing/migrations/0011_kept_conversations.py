"""Conversations of the playground that their authors wished to keep, sealed."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import routing.contents.sealing


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_invitations"),
        ("routing", "0010_sealed_contents"),
    ]

    operations = [
        migrations.CreateModel(
            name="Conversation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="номер",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="сохранён"),
                ),
                (
                    "changed_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="изменён"),
                ),
                ("vault_key_id", models.CharField(max_length=50, verbose_name="ключ хранилища")),
                ("title", models.BinaryField(verbose_name="название")),
                ("body", models.BinaryField(verbose_name="разговор")),
                (
                    "member",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conversations",
                        to="accounts.membership",
                        verbose_name="автор",
                    ),
                ),
            ],
            options={
                "verbose_name": "разговор песочницы",
                "verbose_name_plural": "разговоры песочницы",
                "default_permissions": (),
                "indexes": [models.Index(fields=["member", "changed_at"], name="conversation_of_member")],
            },
            bases=(routing.contents.sealing.Sealed, models.Model),
        ),
        # What is sealed does not shrink any more: PostgreSQL need not try.
        migrations.RunSQL(
            "ALTER TABLE routing_conversation ALTER body SET STORAGE EXTERNAL", migrations.RunSQL.noop
        ),
    ]
