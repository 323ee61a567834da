"""What the link stores is there once, in the right tenant, and nothing out of shape gets in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from agent.wire.samples import MAX_SAMPLES, Sample, SampleBatch
from series.ingest import KEEP_DAYS, write

pytestmark = pytest.mark.services

CLUSTER = UUID("11111111-1111-1111-1111-111111111111")
NOW = datetime.now(UTC)


def sample(minutes_ago: float = 0, value: float = 1.0, **other: str) -> Sample:
    at = int((NOW - timedelta(minutes=minutes_ago)).timestamp() * 1000)
    fields = {"metric": "CPU_USAGE_CORES", "kind": "node", "subject": "node-1", **other}
    return Sample(at_ms=at, value=value, **fields)


def seen(conn: psycopg.Connection, schema: str) -> list[tuple[str, float]]:
    conn.execute(f"SET search_path = {schema}, public")
    rows = conn.execute(
        "SELECT s.subject_id, v.value FROM public.series_sample v JOIN public.series_series s ON s.id = v.series_id"
        " ORDER BY 1, v.at"
    ).fetchall()
    conn.execute("SET search_path = public")
    return rows


def test_a_batch_sent_twice_is_stored_once(conn):
    batch = SampleBatch((sample(2, 1.0), sample(1, 2.0), sample(1, 7.5, subject="node-2")))
    assert [write(conn, "acme", CLUSTER, batch) for _ in range(2)] == [3, 0]
    assert seen(conn, "acme") == [("node-1", 1.0), ("node-1", 2.0), ("node-2", 7.5)]


def test_equal_names_of_two_tenants_stay_apart(conn):
    write(conn, "acme", CLUSTER, SampleBatch((sample(value=1.0),)))
    write(conn, "globex", CLUSTER, SampleBatch((sample(value=2.0),)))
    assert (seen(conn, "acme"), seen(conn, "globex")) == ([("node-1", 1.0)], [("node-1", 2.0)])


def test_the_connection_is_given_back_in_the_schema_it_came_in(conn):
    write(conn, "acme", CLUSTER, SampleBatch((sample(),)))
    assert conn.execute("SELECT current_schema()").fetchone() == ("public",)


@pytest.mark.parametrize("minutes_ago", [-24 * 60, (KEEP_DAYS + 1) * 24 * 60], ids=["ahead", "too old"])
def test_samples_outside_the_window_are_left_out(conn, minutes_ago):
    assert write(conn, "acme", CLUSTER, SampleBatch((sample(minutes_ago), sample(0)))) == 1


def test_a_day_without_partition_gets_one(conn):
    assert write(conn, "acme", CLUSTER, SampleBatch((sample(minutes_ago=6 * 24 * 60),))) == 1


def test_a_batch_over_midnight_finds_both_its_days(conn):
    """The day after was not made ahead: nothing of a batch is lost for that, and each sample lies in its own day."""
    midnight = datetime(2031, 5, 2, tzinfo=UTC)
    at = [int((midnight + timedelta(seconds=second)).timestamp() * 1000) for second in (-1, 0, 1)]
    batch = SampleBatch(tuple(Sample("CPU_USAGE_CORES", "node", "node-1", moment, 1.0) for moment in at))
    assert write(conn, "acme", CLUSTER, batch, now=midnight - timedelta(seconds=1)) == 3
    conn.execute("SET search_path = acme, public")
    rows = conn.execute("SELECT tableoid::regclass::text, count(*) FROM public.series_sample GROUP BY 1 ORDER BY 1")
    assert rows.fetchall() == [("series_sample_20310501", 1), ("series_sample_20310502", 2)]


def test_a_schema_that_is_gone_takes_nothing(conn):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        write(conn, "nobody", CLUSTER, SampleBatch((sample(),)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (sample(kind="planet"), r"samples\[0\].kind: 'planet'"),
        (sample(metric=""), r"samples\[0\].metric"),
        (sample(subject="x" * 300), r"samples\[0\].subject"),
        (sample(value=float("nan")), r"samples\[0\].value"),
    ],
)
def test_a_sample_out_of_shape_is_named(conn, wrong, words):
    with pytest.raises(ValueError, match=words):
        write(conn, "acme", CLUSTER, SampleBatch((wrong,)))


def test_a_batch_too_big_is_refused(conn):
    with pytest.raises(ValueError, match="at most"):
        write(conn, "acme", CLUSTER, SampleBatch((sample(),) * (MAX_SAMPLES + 1)))
