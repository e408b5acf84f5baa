"""A change of a key or of the catalogue announces itself in its own transaction, on channel ``xrouter``.

    catalogue        models, endpoints, aliases, prices, providers or their credentials changed
    key <prefix>     one API key; its last use alone is no change
    client <id>      one client

The triggers of all apps are here because this app stands above them.
"""

from django.db import migrations

CATALOGUE = [
    "providers_provider",
    "providers_credential",
    "routing_model",
    "routing_endpoint",
    "routing_alias",
    "billing_tariff",
    "billing_rate",
]

FUNCTIONS = """
CREATE FUNCTION xrouter_announce_catalogue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('xrouter', 'catalogue');
    RETURN NULL;
END $$;

-- Announces "<subject> <value of column>" for the row as it was and as it is: subject, column = TG_ARGV.
-- PostgreSQL sends equal announcements of one transaction once.
CREATE FUNCTION xrouter_announce_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('xrouter', TG_ARGV[0] || ' ' || (to_jsonb(OLD) ->> TG_ARGV[1]));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('xrouter', TG_ARGV[0] || ' ' || (to_jsonb(NEW) ->> TG_ARGV[1]));
    END IF;
    RETURN NULL;
END $$;
"""

ROWS = """
CREATE TRIGGER announce_key AFTER INSERT OR DELETE ON accounts_apikey
FOR EACH ROW EXECUTE FUNCTION xrouter_announce_row('key', 'prefix');

CREATE TRIGGER announce_key_change AFTER UPDATE ON accounts_apikey
FOR EACH ROW WHEN (to_jsonb(OLD) - 'last_used_at' IS DISTINCT FROM to_jsonb(NEW) - 'last_used_at')
EXECUTE FUNCTION xrouter_announce_row('key', 'prefix');

CREATE TRIGGER announce_client AFTER INSERT OR UPDATE OR DELETE ON accounts_client
FOR EACH ROW EXECUTE FUNCTION xrouter_announce_row('client', 'id');
"""

DROP = """
DROP TRIGGER announce_client ON accounts_client;
DROP TRIGGER announce_key_change ON accounts_apikey;
DROP TRIGGER announce_key ON accounts_apikey;
"""


def announce_catalogue(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER announce_catalogue AFTER INSERT OR UPDATE OR DELETE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION xrouter_announce_catalogue()",
        f"DROP TRIGGER announce_catalogue ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0001_initial"),
        ("accounts", "0001_initial"),
        ("providers", "0001_initial"),
        ("billing", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            FUNCTIONS, "DROP FUNCTION xrouter_announce_catalogue(); DROP FUNCTION xrouter_announce_row();"
        ),
        *map(announce_catalogue, CATALOGUE),
        migrations.RunSQL(ROWS, DROP),
    ]
