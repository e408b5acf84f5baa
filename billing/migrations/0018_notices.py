"""Channels, events and deliveries; new keys and members tell of themselves."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

# An event is written only where somebody wants to hear of it, with its way through each of his channels; a
# cause is told once. ``apart``: a kind of channel that is told otherwise.
CREATE = """
CREATE FUNCTION billing_tell(client bigint, kind text, cause text, facts jsonb, apart text DEFAULT '')
RETURNS void LANGUAGE sql AS $$
    WITH wanting AS (
        SELECT c.id FROM billing_channel c
        WHERE c.client_id = $1 AND c.disabled_at IS NULL AND $2 = ANY(c.events) AND c.kind <> $5
    ), told AS (
        INSERT INTO billing_event (id, client_id, kind, cause, facts)
        SELECT gen_random_uuid(), $1, $2, $3, $4 WHERE EXISTS (SELECT FROM wanting)
        ON CONFLICT (cause) DO NOTHING
        RETURNING id
    )
    INSERT INTO billing_delivery (event_id, channel_id, next_at)
    SELECT told.id, wanting.id, now() FROM told, wanting
$$;

CREATE FUNCTION billing_tell_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing_tell(NEW.client_id, 'key.created', 'key.created ' || NEW.id, jsonb_build_object(
        'prefix', NEW.prefix, 'label', NEW.label, 'kind', NEW.kind,
        'created_by', (SELECT u.email FROM accounts_user u WHERE u.id = NEW.created_by_id)
    ));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON accounts_apikey
FOR EACH ROW EXECUTE FUNCTION billing_tell_of_key();

CREATE FUNCTION billing_tell_of_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing_tell(NEW.client_id, 'member.joined', 'member.joined ' || NEW.id, jsonb_build_object(
        'email', (SELECT u.email FROM accounts_user u WHERE u.id = NEW.user_id), 'role', NEW.role
    ));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON accounts_membership
FOR EACH ROW EXECUTE FUNCTION billing_tell_of_member();
"""

DROP = """
DROP TRIGGER told ON accounts_membership;
DROP FUNCTION billing_tell_of_member();
DROP TRIGGER told ON accounts_apikey;
DROP FUNCTION billing_tell_of_key();
DROP FUNCTION billing_tell(bigint, text, text, jsonb, text);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_invitations"), ("billing", "0017_invoices")]

    operations = [
        migrations.CreateModel(
            name="Channel",
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
                        choices=[("mail", "почта"), ("webhook", "вебхук")], max_length=10, verbose_name="вид"
                    ),
                ),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("balance.low", "мало средств на балансе"),
                                ("key.cap_80", "ключ израсходовал 80 % предела"),
                                ("key.cap_100", "предел ключа исчерпан"),
                                ("key.created", "создан новый ключ"),
                                ("member.joined", "в организации новый участник"),
                                ("invoice.paid", "счёт оплачен"),
                                ("invoice.refused", "в счёте отказано"),
                                ("webhook.disabled", "вебхук отключён после неудач"),
                            ],
                            max_length=30,
                        ),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="о чём",
                    ),
                ),
                ("url", models.CharField(blank=True, max_length=500, verbose_name="адрес")),
                ("secret", models.TextField(blank=True, editable=False, verbose_name="секрет, зашифрован")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        verbose_name="создан",
                    ),
                ),
                (
                    "created_by",
                    models.CharField(blank=True, editable=False, max_length=254, verbose_name="кем создан"),
                ),
                (
                    "failures",
                    models.PositiveIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="неудач подряд"
                    ),
                ),
                ("disabled_at", models.DateTimeField(blank=True, null=True, verbose_name="отключён")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="channels",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
                (
                    "readers",
                    models.ManyToManyField(
                        blank=True,
                        related_name="channels",
                        to="accounts.membership",
                        verbose_name="кому письма",
                    ),
                ),
            ],
            options={
                "verbose_name": "канал оповещений",
                "verbose_name_plural": "каналы оповещений",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False, verbose_name="номер")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("balance.low", "мало средств на балансе"),
                            ("key.cap_80", "ключ израсходовал 80 % предела"),
                            ("key.cap_100", "предел ключа исчерпан"),
                            ("key.created", "создан новый ключ"),
                            ("member.joined", "в организации новый участник"),
                            ("invoice.paid", "счёт оплачен"),
                            ("invoice.refused", "в счёте отказано"),
                            ("webhook.disabled", "вебхук отключён после неудач"),
                            ("test", "проверка"),
                        ],
                        max_length=30,
                        verbose_name="о чём",
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        help_text="Об одном поводе сообщают один раз.",
                        max_length=250,
                        unique=True,
                        verbose_name="повод",
                    ),
                ),
                ("facts", models.JSONField(default=dict, verbose_name="что случилось")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        verbose_name="когда",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="accounts.client",
                        verbose_name="клиент",
                    ),
                ),
            ],
            options={
                "verbose_name": "событие",
                "verbose_name_plural": "события",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tries", models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name="попыток")),
                (
                    "next_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Пусто — больше не будет.",
                        null=True,
                        verbose_name="следующая попытка",
                    ),
                ),
                ("tried_at", models.DateTimeField(blank=True, null=True, verbose_name="последняя попытка")),
                ("delivered_at", models.DateTimeField(blank=True, null=True, verbose_name="доставлено")),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="ответ")),
                (
                    "error",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=200, verbose_name="что помешало"
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="billing.channel",
                        verbose_name="канал",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="billing.event",
                        verbose_name="событие",
                    ),
                ),
            ],
            options={
                "verbose_name": "доставка",
                "verbose_name_plural": "доставки",
                "ordering": ["-id"],
            },
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["mail", "webhook"])), name="channel_kind_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "webhook"), ("secret__gt", ""), ("url__gt", "")),
                    models.Q(models.Q(("kind", "webhook"), _negated=True), ("secret", ""), ("url", "")),
                    _connector="OR",
                ),
                name="channel_webhook_has_a_secret",
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "mail")), fields=("client",), name="channel_one_for_letters"
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "webhook")),
                fields=("client", "url"),
                name="channel_once_per_address",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="delivery_waiting"
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("event", "channel"), name="delivery_once_per_channel"),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
