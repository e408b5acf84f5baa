"""Requests for invoices. What was asked for stays, what is over stays, and steps are append-only."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

import billing.fields

# What was asked for and what is over stays as it is; so does the list of steps.
CREATE = """
CREATE FUNCTION billing_guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state IN ('paid', 'withdrawn', 'refused') OR
        (NEW.client_id, NEW.amount, NEW.company, NEW.inn, NEW.kpp, NEW.address, NEW.email, NEW.created_at)
        IS DISTINCT FROM
        (OLD.client_id, OLD.amount, OLD.company, OLD.inn, OLD.kpp, OLD.address, OLD.email, OLD.created_at)
    THEN
        RAISE EXCEPTION 'a request for an invoice is history: make another one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guarded BEFORE UPDATE OR DELETE ON billing_invoice
FOR EACH ROW EXECUTE FUNCTION billing_guard_invoice();

CREATE FUNCTION billing_refuse_changed_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'steps of invoices are append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_invoicestep
FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_changed_steps();
"""

DROP = """
DROP TRIGGER append_only ON billing_invoicestep;
DROP FUNCTION billing_refuse_changed_steps();
DROP TRIGGER guarded ON billing_invoice;
DROP FUNCTION billing_guard_invoice();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_invitations"),
        ("billing", "0016_usage_by_the_hour"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "amount",
                    billing.fields.MicroField(
                        validators=[django.core.validators.MinValueValidator(1)], verbose_name="сумма, ₽"
                    ),
                ),
                ("company", models.CharField(max_length=200, verbose_name="плательщик")),
                ("inn", models.CharField(max_length=12, verbose_name="ИНН")),
                ("kpp", models.CharField(blank=True, max_length=9, verbose_name="КПП")),
                ("address", models.CharField(max_length=300, verbose_name="юридический адрес")),
                ("email", models.EmailField(max_length=254, verbose_name="почта для документов")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="запрошен"),
                ),
                ("created_by", models.CharField(max_length=254, verbose_name="кем запрошен")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "запрошен"),
                            ("issued", "счёт отправлен"),
                            ("paid", "оплачен"),
                            ("withdrawn", "отозван"),
                            ("refused", "отказано"),
                        ],
                        default="requested",
                        max_length=10,
                        verbose_name="состояние",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoices",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoice",
                        to="billing.payment",
                        verbose_name="платёж",
                    ),
                ),
                (
                    "proposal",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoice",
                        to="billing.proposal",
                        verbose_name="предложение",
                    ),
                ),
            ],
            options={
                "verbose_name": "заявка на счёт",
                "verbose_name_plural": "заявки на счёт",
                "ordering": ["-id"],
                "permissions": [
                    ("confirm_invoice", "Может вести заявки на счёт: подтверждать оплату, отказывать"),
                    ("export_invoice", "Может выгружать заявки на счёт"),
                ],
            },
        ),
        migrations.CreateModel(
            name="InvoiceStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "запрошен"),
                            ("issued", "счёт отправлен"),
                            ("paid", "оплачен"),
                            ("withdrawn", "отозван"),
                            ("refused", "отказано"),
                        ],
                        max_length=10,
                        verbose_name="состояние",
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="когда")),
                ("by", models.CharField(blank=True, max_length=254, verbose_name="кем")),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="примечание")),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="billing.invoice",
                        verbose_name="заявка на счёт",
                    ),
                ),
            ],
            options={
                "verbose_name": "шаг заявки",
                "verbose_name_plural": "шаги заявок",
                "ordering": ["id"],
            },
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("state__in", ["requested", "issued"])), fields=["id"], name="invoice_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="invoice_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["requested", "issued", "paid", "withdrawn", "refused"])),
                name="invoice_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("payment__isnull", False), ("state", "paid")),
                    models.Q(models.Q(("state", "paid"), _negated=True), ("payment__isnull", True)),
                    _connector="OR",
                ),
                name="invoice_paid_by_a_payment",
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
