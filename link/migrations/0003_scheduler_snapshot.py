"""The last thing each cluster's scheduler saw."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("link", "0002_storage")]

    operations = [
        migrations.CreateModel(
            name="SchedulerSnapshot",
            fields=[
                (
                    "cluster",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="scheduler",
                        serialize=False,
                        to="link.cluster",
                    ),
                ),
                ("data", models.BinaryField()),
                ("taken_at", models.DateTimeField()),
            ],
        ),
    ]
