import django.contrib.postgres.fields
from django.db import migrations, models

# For each row: whoever deletes a client says something of this table, too, where there is nothing to say.
ANNOUNCE = (
    "CREATE TRIGGER announce_catalogue AFTER INSERT OR UPDATE OR DELETE ON routing_model_clients "
    "FOR EACH ROW EXECUTE FUNCTION xrouter_announce_catalogue()"
)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_routing_preferences"),
        ("billing", "0012_sampling_of_generations"),
        ("routing", "0007_kind_of_models"),
    ]

    operations = [
        migrations.AddField(
            model_name="model",
            name="clients",
            field=models.ManyToManyField(
                blank=True,
                help_text="Пусто — всем. Для остальных такой модели нет.",
                related_name="models_of_its_own",
                to="accounts.client",
                verbose_name="видна клиентам",
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="plans",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[("free", "бесплатный"), ("paid", "платный")], max_length=4
                ),
                blank=True,
                default=list,
                help_text="Ничего не отмечено — на всех.",
                size=None,
                verbose_name="видна на тарифах доступа",
            ),
        ),
        migrations.AddConstraint(
            model_name="model",
            constraint=models.CheckConstraint(
                condition=models.Q(("plans__contained_by", ["free", "paid"])), name="model_plans_are_known"
            ),
        ),
        migrations.RunSQL(ANNOUNCE, "DROP TRIGGER announce_catalogue ON routing_model_clients"),
    ]
