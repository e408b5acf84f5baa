"""Large movements wait for a second signature; promo codes are made in batches; lists may be exported."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import billing.fields


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_routing_preferences"),
        ("billing", "0012_sampling_of_generations"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PromoBatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("note", models.CharField(max_length=200, verbose_name="для чего")),
                ("prefix", models.CharField(blank=True, max_length=12, verbose_name="начало кода")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="выпущена"),
                ),
            ],
            options={
                "verbose_name": "партия промокодов",
                "verbose_name_plural": "партии промокодов",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Proposal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("correction", "исправление остатка"),
                            ("refund", "возврат за генерацию"),
                            ("payment", "платёж"),
                        ],
                        max_length=20,
                        verbose_name="операция",
                    ),
                ),
                ("generation", models.UUIDField(blank=True, null=True, verbose_name="генерация")),
                ("number", models.CharField(blank=True, max_length=100, verbose_name="номер платежа")),
                ("received_at", models.DateTimeField(blank=True, null=True, verbose_name="платёж получен")),
                ("amount", billing.fields.MicroField(verbose_name="сумма, ₽")),
                ("reason", models.CharField(max_length=500, verbose_name="причина")),
                ("cause", models.CharField(max_length=200, verbose_name="основание")),
                (
                    "asked_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="предложено"),
                ),
                ("expires_at", models.DateTimeField(verbose_name="ждёт до")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "ждёт второй подписи"),
                            ("confirmed", "проведено"),
                            ("declined", "отклонено"),
                            ("expired", "истекло"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="состояние",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="решено")),
                ("decision", models.CharField(blank=True, max_length=500, verbose_name="почему отклонено")),
            ],
            options={
                "verbose_name": "предложение",
                "verbose_name_plural": "предложения",
                "ordering": ["-id"],
                "permissions": [
                    ("confirm_movement", "Может ставить вторую подпись под движением денег"),
                    ("export_proposal", "Может выгружать предложения"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="account",
            options={
                "ordering": ["id"],
                "permissions": [
                    ("correct_balance", "Может исправлять остаток кошелька"),
                    ("export_account", "Может выгружать счета"),
                ],
                "verbose_name": "счёт",
                "verbose_name_plural": "счета",
            },
        ),
        migrations.AlterModelOptions(
            name="alert",
            options={
                "ordering": ["-id"],
                "permissions": [("export_alert", "Может выгружать предупреждения")],
                "verbose_name": "предупреждение",
                "verbose_name_plural": "предупреждения",
            },
        ),
        migrations.AlterModelOptions(
            name="audit",
            options={
                "ordering": ["-at"],
                "permissions": [("export_audit", "Может выгружать сверки")],
                "verbose_name": "сверка",
                "verbose_name_plural": "сверки",
            },
        ),
        migrations.AlterModelOptions(
            name="generation",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("refund_generation", "Может возвращать деньги за генерацию"),
                    ("export_generation", "Может выгружать генерации"),
                ],
                "verbose_name": "генерация",
                "verbose_name_plural": "генерации",
            },
        ),
        migrations.AlterModelOptions(
            name="hold",
            options={
                "ordering": ["created_at"],
                "permissions": [("export_hold", "Может выгружать резервы")],
                "verbose_name": "резерв",
                "verbose_name_plural": "резервы",
            },
        ),
        migrations.AlterModelOptions(
            name="keyday",
            options={
                "ordering": ["-day"],
                "permissions": [("export_keyday", "Может выгружать дни ключей")],
                "verbose_name": "день ключа",
                "verbose_name_plural": "дни ключей",
            },
        ),
        migrations.AlterModelOptions(
            name="payment",
            options={
                "ordering": ["-received_at"],
                "permissions": [("export_payment", "Может выгружать платежи")],
                "verbose_name": "платёж",
                "verbose_name_plural": "платежи",
            },
        ),
        migrations.AlterModelOptions(
            name="promocode",
            options={
                "ordering": ["code"],
                "permissions": [("export_promocode", "Может выгружать промокоды")],
                "verbose_name": "промокод",
                "verbose_name_plural": "промокоды",
            },
        ),
        migrations.AlterModelOptions(
            name="transfer",
            options={
                "ordering": ["-id"],
                "permissions": [("export_transfer", "Может выгружать переводы")],
                "verbose_name": "перевод",
                "verbose_name_plural": "переводы",
            },
        ),
        migrations.AddField(
            model_name="promobatch",
            name="created_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="кто выпустил",
            ),
        ),
        migrations.AddField(
            model_name="promocode",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="codes",
                to="billing.promobatch",
                verbose_name="партия",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="asked_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="кто предложил",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="client",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="accounts.client",
                verbose_name="клиент",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="кто решил",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="transfer",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposal",
                to="billing.transfer",
                verbose_name="перевод",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("state", "waiting")), fields=["expires_at"], name="proposal_waiting"
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["waiting", "confirmed"])),
                fields=("cause",),
                name="proposal_once_per_cause",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "confirmed"), _negated=True),
                    models.Q(("decided_by", models.F("asked_by")), _negated=True),
                    _connector="OR",
                ),
                name="proposal_signed_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_by__isnull", False), ("state", "confirmed"), ("transfer__isnull", False)
                    ),
                    models.Q(models.Q(("state", "confirmed"), _negated=True), ("transfer__isnull", True)),
                    _connector="OR",
                ),
                name="proposal_confirmed_has_moved",
            ),
        ),
    ]
