"""The accounts that are ours, one of each kind. A client's wallet is made by the next migration's trigger."""

from django.db import migrations

OPEN = """
INSERT INTO billing_account (kind, balance, held, credit_limit)
SELECT kind, 0, 0, 0
FROM unnest(ARRAY['revenue', 'provider_cost', 'payments_in', 'promo', 'overrun']) AS kind
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunSQL(OPEN, migrations.RunSQL.noop)]
