"""What is in the ledger stays: a mistake is corrected by another transfer."""

from django.db import migrations

CREATE = """
CREATE FUNCTION billing_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transfers are append-only: correct a mistake by another transfer'
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_transfer
FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_rewriting();
"""

DROP = """
DROP TRIGGER append_only ON billing_transfer;
DROP FUNCTION billing_refuse_rewriting();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_a_wallet_for_every_client")]

    operations = [migrations.RunSQL(CREATE, DROP)]
