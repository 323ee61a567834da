"""Storage of the busy tables: room for updates in place, and a vacuum that comes early to queues."""

from django.db import migrations

BUSY = """
ALTER TABLE public.link_liveness SET (fillfactor = 50);
ALTER TABLE public.link_agentsession SET (fillfactor = 70);
ALTER TABLE public.link_cluster SET (fillfactor = 70);
ALTER TABLE public.link_inbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
ALTER TABLE public.link_command SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
"""


class Migration(migrations.Migration):
    dependencies = [("link", "0001_tables")]
    operations = [migrations.RunSQL(BUSY, migrations.RunSQL.noop)]
