"""A client is never without a wallet, whoever inserts it."""

from django.db import migrations

CREATE = """
CREATE FUNCTION billing_open_wallet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_account (kind, client_id, balance, held, credit_limit)
    VALUES ('wallet', NEW.id, 0, 0, 0);
    RETURN NULL;
END $$;

CREATE TRIGGER open_wallet AFTER INSERT ON accounts_client
FOR EACH ROW EXECUTE FUNCTION billing_open_wallet();

INSERT INTO billing_account (kind, client_id, balance, held, credit_limit)
SELECT 'wallet', id, 0, 0, 0 FROM accounts_client
ON CONFLICT DO NOTHING;
"""

DROP = """
DROP TRIGGER open_wallet ON accounts_client;
DROP FUNCTION billing_open_wallet();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_system_accounts"), ("accounts", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
