"""Who may move money by hand."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_tellers_functions")]

    operations = [
        migrations.AlterModelOptions(
            name="account",
            options={
                "ordering": ["id"],
                "permissions": [("correct_balance", "Может исправлять остаток кошелька")],
                "verbose_name": "счёт",
                "verbose_name_plural": "счета",
            },
        ),
        migrations.AlterModelOptions(
            name="generation",
            options={
                "ordering": ["-created_at"],
                "permissions": [("refund_generation", "Может возвращать деньги за генерацию")],
                "verbose_name": "генерация",
                "verbose_name_plural": "генерации",
            },
        ),
    ]
