"""Public keys of each tenant's OIDC issuer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("link", "0003_scheduler_snapshot")]

    operations = [
        migrations.CreateModel(
            name="Issuer",
            fields=[
                ("schema_name", models.CharField(max_length=63, primary_key=True, serialize=False)),
                ("keys", models.JSONField(default=list)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
