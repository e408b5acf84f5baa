"""Keys that manage keys, keys that are gone for good, one key for one wish; clients know their founder."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_invitations"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="apikey",
            name="key_kind_is_known",
        ),
        migrations.AddField(
            model_name="apikey",
            name="made_with",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="accounts.apikey",
                verbose_name="создан ключом",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="removed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="удалён"),
        ),
        migrations.AddField(
            model_name="apikey",
            name="wish",
            field=models.CharField(blank=True, editable=False, max_length=80, null=True),
        ),
        migrations.AddField(
            model_name="client",
            name="founder",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="founded",
                to=settings.AUTH_USER_MODEL,
                verbose_name="основатель",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="kind",
            field=models.CharField(
                choices=[("live", "боевой"), ("test", "тестовый"), ("mgmt", "управляющий")],
                default="live",
                help_text="На запросы с тестовым ключом отвечают двойники провайдеров. Управляющий создаёт и меняет другие ключи по API, а модели с ним не спросить.",
                max_length=4,
                verbose_name="вид",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["live", "test", "mgmt"])), name="key_kind_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("removed_at", None), ("disabled_at__isnull", False), _connector="OR"),
                name="key_removed_is_disabled",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(fields=("client", "wish"), name="key_once_for_a_wish"),
        ),
    ]
