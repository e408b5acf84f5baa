"""The account that corrections of balances are booked against: what was paid in stays what was paid in."""

from django.db import migrations

OPEN = """
INSERT INTO billing_account (kind, balance, held, credit_limit) VALUES ('adjustments', 0, 0, 0)
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_adjustments_and_refusals")]

    operations = [migrations.RunSQL(OPEN, migrations.RunSQL.noop)]
