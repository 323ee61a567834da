"""Stores what agents measured. Plain psycopg, no ORM: the link calls it from a thread with a connection of its pool.

Safe to repeat: a sample that is there already is left alone, so a batch whose answer was lost is simply sent again.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from psycopg import Connection, sql

from agent.wire.samples import Sample, SampleBatch, check

KEEP_DAYS = 14
FUTURE = timedelta(minutes=10)

_Key = tuple[str, str, str, str]

_FIND = """
SELECT k.metric, k.kind, k.subject, k.device, s.id
FROM unnest(%(metrics)s::text[], %(kinds)s::text[], %(subjects)s::text[], %(devices)s::text[])
     AS k(metric, kind, subject, device)
LEFT JOIN public.series_series s ON s.schema_name = %(schema)s AND s.cluster_id = %(cluster)s
     AND s.metric = k.metric AND s.subject_kind = k.kind AND s.subject_id = k.subject AND s.device = k.device
"""
_ADD = """
INSERT INTO public.series_series (schema_name, cluster_id, metric, subject_kind, subject_id, device)
SELECT %(schema)s, %(cluster)s, k.metric, k.kind, k.subject, k.device
FROM unnest(%(metrics)s::text[], %(kinds)s::text[], %(subjects)s::text[], %(devices)s::text[])
     AS k(metric, kind, subject, device)
ORDER BY 3, 4, 5, 6
ON CONFLICT DO NOTHING
"""
_STORE = """
INSERT INTO public.series_sample (schema_name, series_id, at, value)
SELECT %(schema)s, v.id, v.at, v.value
FROM unnest(%(ids)s::bigint[], %(at)s::timestamptz[], %(values)s::float8[]) AS v(id, at, value)
ORDER BY 2, 3
ON CONFLICT DO NOTHING
"""


def write(
    conn: Connection, schema_name: str, cluster_id: UUID, batch: SampleBatch, *, now: datetime | None = None
) -> int:
    """Store a batch for one cluster of one tenant; returns how many samples were new.

    Samples older than the retention or more than ten minutes ahead are left out. Runs in a transaction of its own (a
    savepoint inside the caller's). Raises ``ValueError`` for a batch out of shape; psycopg errors pass through.
    """
    check(batch)
    samples = _in_window(batch.samples, now or datetime.now(UTC))
    if not samples:
        return 0
    with conn.transaction():
        before = _enter(conn, schema_name)
        _ensure_days(conn, {_moment(sample).date() for sample in samples})
        ids = _series_ids(conn, schema_name, cluster_id, samples)
        stored = conn.execute(
            _STORE,
            {
                "schema": schema_name,
                "ids": [ids[_key(sample)] for sample in samples],
                "at": [_moment(sample) for sample in samples],
                "values": [float(sample.value) for sample in samples],
            },
        ).rowcount
        conn.execute("SELECT set_config('search_path', %s, true)", (before,))
    return stored


def _in_window(samples: tuple[Sample, ...], now: datetime) -> list[Sample]:
    earliest = (now - timedelta(days=KEEP_DAYS)).timestamp() * 1000
    latest = (now + FUTURE).timestamp() * 1000
    return [sample for sample in samples if earliest <= sample.at_ms <= latest]


def _moment(sample: Sample) -> datetime:
    return datetime.fromtimestamp(sample.at_ms / 1000, UTC)


def _key(sample: Sample) -> _Key:
    return sample.metric, sample.kind, sample.subject, sample.device


def _enter(conn: Connection, schema_name: str) -> str:
    """Put the tenant's schema first, as the policies ask; answers the path to go back to.

    Row-level security compares with ``current_schema()``; a schema that is gone lets nothing through.
    """
    row = conn.execute("SELECT current_setting('search_path')").fetchone()
    path = sql.SQL(", ").join([sql.Identifier(schema_name), sql.Identifier("public")]).as_string(conn)
    conn.execute("SELECT set_config('search_path', %s, true)", (path,))
    return str(row[0]) if row else "public"


def _ensure_days(conn: Connection, days: set[date]) -> None:
    """Partitions are made ahead by ``series.tasks.maintain``; this covers a control plane that slept."""
    for day in sorted(days):
        row = conn.execute("SELECT to_regclass(%s)", (f"public.series_sample_{day:%Y%m%d}",)).fetchone()
        if row is None or row[0] is None:
            conn.execute("SELECT public.series_make_partition(%s)", (day,))


def _series_ids(conn: Connection, schema_name: str, cluster_id: UUID, samples: list[Sample]) -> dict[_Key, int]:
    keys = sorted({_key(sample) for sample in samples})
    found = _find(conn, schema_name, cluster_id, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        conn.execute(_ADD, _arguments(schema_name, cluster_id, missing))
        found |= _find(conn, schema_name, cluster_id, missing)
    return found


def _find(conn: Connection, schema_name: str, cluster_id: UUID, keys: list[_Key]) -> dict[_Key, int]:
    rows = conn.execute(_FIND, _arguments(schema_name, cluster_id, keys)).fetchall()
    return {(row[0], row[1], row[2], row[3]): row[4] for row in rows if row[4] is not None}


def _arguments(schema_name: str, cluster_id: UUID, keys: list[_Key]) -> dict[str, object]:
    columns = list(zip(*keys, strict=True))
    return {
        "schema": schema_name,
        "cluster": cluster_id,
        "metrics": list(columns[0]),
        "kinds": list(columns[1]),
        "subjects": list(columns[2]),
        "devices": list(columns[3]),
    }
