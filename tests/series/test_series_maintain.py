"""The hourly task goes through all ready tenants and may run twice."""

import pytest
from django.db import connection

from series.tasks import maintain

pytestmark = pytest.mark.services


def test_it_makes_days_ahead_and_can_run_again(acme):
    connection.set_schema_to_public()
    maintain()
    maintain()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.series_sample'::regclass")
        assert cursor.fetchone()[0] >= 5
