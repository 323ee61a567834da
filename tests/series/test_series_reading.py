"""Reading: averages in equal bins, gaps as gaps, and one tenant's samples only; keeping: partitions come and go."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django_tenants.utils import tenant_context

from agent.wire.samples import Sample, SampleBatch
from runai_cp.lib.errors import Invalid
from series import services
from series.services import Subject

pytestmark = pytest.mark.services

START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
CLUSTER = uuid4()
NODE = Subject(CLUSTER, "node", "n1")


def store(schema: str, *points: tuple[float, float]) -> int:
    """(minutes after START, value) of one node's CPU."""
    samples = tuple(
        Sample("CPU_USAGE_CORES", "node", "n1", round((START + timedelta(minutes=at)).timestamp() * 1000), value)
        for at, value in points
    )
    return services.ingest(schema_name=schema, cluster_id=CLUSTER, batch=SampleBatch(samples))


def values(points: int, minutes: float = 10) -> list[float | None]:
    end = START + timedelta(minutes=minutes)
    found = services.query(metric="CPU_USAGE_CORES", subject=NODE, start=START, end=end, points=points)
    return [value for _, value in found]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (5, [1.5, None, 3.0, None, None]),
        (1, [2.0]),
        (0, []),
    ],
)
def test_bins_hold_averages_and_gaps(acme, points, expected):
    store(acme.schema_name, (0.5, 1.0), (1.0, 2.0), (4.5, 3.0))
    assert values(points) == expected


def test_bins_narrower_than_the_sampling_are_no_gaps(acme):
    store(acme.schema_name, *[(index / 2, 1.0) for index in range(20)])
    assert values(120) == [1.0] * 120


def test_a_line_ends_soon_after_its_last_sample(acme):
    store(acme.schema_name, (0, 1.0))
    found = values(60)
    assert found[:7] == [1.0] * 7
    assert set(found[9:]) == {None}


def test_times_are_the_starts_of_the_bins(acme):
    end = START + timedelta(minutes=10)
    found = services.query(metric="CPU_USAGE_CORES", subject=NODE, start=START, end=end, points=5)
    assert [at for at, _ in found] == [START + timedelta(minutes=2 * index) for index in range(5)]


def test_another_tenant_reads_nothing(acme, globex):
    store(acme.schema_name, (0.5, 1.0))
    with tenant_context(globex.tenant):
        assert values(5) == [None] * 5


@pytest.mark.parametrize(("minutes", "points"), [(-1, 5), (0, 5), (10, 1001), (10, -1)])
def test_a_wrong_span_is_refused(acme, minutes, points):
    with pytest.raises(Invalid):
        values(points, minutes)


def test_the_newest_value_of_each_subject(acme):
    now = round(datetime.now(UTC).timestamp() * 1000)
    samples = tuple(
        Sample("GPU_UTILIZATION", "nodepool", "a", now - age, value) for age, value in ((60_000, 1), (0, 2))
    )
    old = Sample("GPU_UTILIZATION", "nodepool", "b", now - 3_600_000, 5.0)
    services.ingest(schema_name=acme.schema_name, cluster_id=CLUSTER, batch=SampleBatch((*samples, old)))
    found = services.latest(metric="GPU_UTILIZATION", kind="nodepool", cluster_ids=[CLUSTER])
    assert found == {Subject(CLUSTER, "nodepool", "a"): 2.0}


def test_partitions_are_made_once_and_dropped_with_their_day(acme):
    far = date(2031, 5, 1)
    assert [services.make_partitions(far), services.make_partitions(far)] == [5, 0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'series_sample_20310501'"
        )
        assert cursor.fetchone() == (True, True)
    assert services.drop_partitions(date(2031, 5, 10), keep_days=6) >= 5


def test_series_without_samples_are_forgotten(acme):
    store(acme.schema_name, (0.5, 1.0))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE public.series_series SET created_at = now() - interval '30 days'")
        assert services.prune(14) == 0
        cursor.execute("DELETE FROM public.series_sample")
    assert services.prune(14) == 1
