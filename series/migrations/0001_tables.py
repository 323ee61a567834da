"""The two tables, partitioned by day, with row-level security forced so that raw SQL sees one tenant only too.

No model: nothing here goes through the ORM. A partition has its own policy, since a query may name it directly.
"""

from django.db import migrations

TABLES = """
CREATE TABLE public.series_series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name text NOT NULL,
    cluster_id uuid NOT NULL,
    metric text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    device text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (schema_name, cluster_id, metric, subject_kind, subject_id, device)
);
CREATE INDEX series_series_subject ON public.series_series (schema_name, subject_kind, subject_id, metric);
CREATE TABLE public.series_sample (
    schema_name text NOT NULL,
    series_id bigint NOT NULL,
    at timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series_id, at)
) PARTITION BY RANGE (at);
"""

POLICIES = """
ALTER TABLE public.series_series ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.series_series FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON public.series_series USING (schema_name = current_schema()) WITH CHECK (schema_name = current_schema());
ALTER TABLE public.series_sample ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.series_sample FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON public.series_sample USING (schema_name = current_schema()) WITH CHECK (schema_name = current_schema());
"""

PARTITIONS = """
CREATE FUNCTION public.series_make_partition(day date) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    part text := 'series_sample_' || to_char(day, 'YYYYMMDD');
    lower_end text := to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00';
    upper_end text := to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('series_make_partition'));
    IF to_regclass('public.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.series_sample FOR VALUES FROM (%L) TO (%L)', part, lower_end, upper_end);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('CREATE POLICY tenant ON public.%I USING (schema_name = current_schema()) WITH CHECK (schema_name = current_schema())', part);
    RETURN true;
END $$;
SELECT public.series_make_partition((now() AT TIME ZONE 'UTC')::date + n) FROM generate_series(-1, 3) AS n;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(TABLES, "DROP TABLE public.series_sample; DROP TABLE public.series_series;"),
        migrations.RunSQL(POLICIES, migrations.RunSQL.noop),
        migrations.RunSQL(PARTITIONS, "DROP FUNCTION public.series_make_partition(date);"),
    ]
