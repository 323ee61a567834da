"""Names of webhooks are unique without regard to case, as all names are. Of two that differ in case alone, the later
one's gets the end of its id."""

from django.db import migrations, models
from django.db.models.functions import Lower

TELL_APART = """
UPDATE access_webhook AS later SET name = left(later.name, 80) || ' ' || right(later.id::text, 12)
WHERE EXISTS (
    SELECT 1 FROM access_webhook AS earlier WHERE lower(earlier.name) = lower(later.name) AND earlier.id < later.id
)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0006_logo"),
    ]

    operations = [
        migrations.RunSQL(TELL_APART, migrations.RunSQL.noop),
        migrations.AlterField("webhook", "name", models.CharField(max_length=100)),
        migrations.AddConstraint("webhook", models.UniqueConstraint(Lower("name"), name="webhook_name_once")),
    ]
