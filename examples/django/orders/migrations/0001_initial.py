"""The table of orders."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("items", models.IntegerField()),
                ("paid", models.BooleanField(default=False)),
                ("invoices", models.IntegerField(default=0)),
            ],
        ),
    )
