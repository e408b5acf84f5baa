import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_exported_clients"),
        ("billing", "0014_indexes_of_transfers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="proposal",
            name="proposal_confirmed_has_moved",
        ),
        migrations.AddField(
            model_name="promocode",
            name="issued_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="когда"),
        ),
        migrations.AddField(
            model_name="promocode",
            name="issued_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="кто выпустил или поднял",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="batch",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposal",
                to="billing.promobatch",
                verbose_name="партия промокодов",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="client",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="accounts.client",
                verbose_name="клиент",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="kind",
            field=models.CharField(
                choices=[
                    ("correction", "исправление остатка"),
                    ("refund", "возврат за генерацию"),
                    ("payment", "платёж"),
                    ("promo", "партия промокодов"),
                    ("overdraft", "овердрафт"),
                ],
                max_length=20,
                verbose_name="операция",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_by__isnull", False), ("state", "confirmed"), ("transfer__isnull", False)
                    ),
                    models.Q(
                        ("decided_by__isnull", False),
                        ("kind__in", ["promo", "overdraft"]),
                        ("state", "confirmed"),
                        ("transfer__isnull", True),
                    ),
                    models.Q(models.Q(("state", "confirmed"), _negated=True), ("transfer__isnull", True)),
                    _connector="OR",
                ),
                name="proposal_confirmed_has_moved",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("batch__isnull", False), ("client__isnull", True), ("kind", "promo")),
                    models.Q(
                        models.Q(("kind", "promo"), _negated=True),
                        ("batch__isnull", True),
                        ("client__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="proposal_is_of_a_client_or_a_batch",
            ),
        ),
    ]
