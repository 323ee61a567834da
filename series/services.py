"""Reading and keeping the series. Every statement names the tenant's schema, and row-level security checks it again.

``current_schema()`` is the tenant of the request or task that asks; there is no way to ask for another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from psycopg import sql

from agent.wire.samples import SampleBatch
from runai_cp.lib.errors import FieldError, Invalid
from series import ingest as writer

Point = tuple[datetime, float | None]

HOLD = timedelta(seconds=75)
"""A sample stands for the time until the next one, at most this long: bins narrower than the sampling are no gaps."""

MAX_POINTS = 1000
AHEAD_DAYS = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose series: ``kind`` and ``id`` as in ``agent.wire.samples``; ``device`` is the GPU index for ``*_PER_GPU``."""

    cluster_id: UUID
    kind: str
    id: str
    device: str = ""


Line = tuple[str, Subject]
"""(metric, subject): one series."""


def ingest(*, schema_name: str, cluster_id: UUID, batch: SampleBatch) -> int:
    """Store a batch; returns how many samples were new. Sending it again stores nothing."""
    with transaction.atomic():
        connection.ensure_connection()
        return writer.write(connection.connection, schema_name, cluster_id, batch)


def query(*, metric: str, subject: Subject, start: datetime, end: datetime, points: int) -> list[Point]:
    """Averages of one series in ``points`` equal bins of [start, end); a bin without a sample is None."""
    return query_lines(lines=[(metric, subject)], start=start, end=end, points=points)[metric, subject]


def query_lines(*, lines: Sequence[Line], start: datetime, end: datetime, points: int) -> dict[Line, list[Point]]:
    """As ``query`` for several series in one statement. Raises ``Invalid`` for an empty span or too many points."""
    _check_span(start, end, points)
    if not lines or points == 0:
        return {line: [] for line in lines}
    width = (end - start) / points
    bins: dict[Line, dict[int, float]] = {line: {} for line in lines}
    for metric, cluster_id, kind, subject_id, device, at, value in _averages(lines, start, end, width):
        bins[metric, Subject(cluster_id, kind, subject_id, device)][round((at - start) / width)] = value
    return {line: _points(found, start, width, points) for line, found in bins.items()}


def latest(
    *, metric: str, kind: str, cluster_ids: Iterable[UUID], within: timedelta = timedelta(minutes=3)
) -> dict[Subject, float]:
    """The newest value of a metric for every subject of a kind in these clusters, none older than ``within``."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.cluster_id, s.subject_kind, s.subject_id, s.device, v.value
            FROM public.series_series s
            CROSS JOIN LATERAL (
                SELECT value FROM public.series_sample
                WHERE series_id = s.id AND at > %s AND at <= %s ORDER BY at DESC LIMIT 1
            ) v
            WHERE s.schema_name = current_schema() AND s.subject_kind = %s AND s.metric = %s
              AND s.cluster_id = ANY(%s)
            """,
            [datetime.now(UTC) - within, datetime.now(UTC) + timedelta(minutes=1), kind, metric, list(cluster_ids)],
        )
        return {Subject(row[0], row[1], row[2], row[3]): row[4] for row in cursor.fetchall()}


def devices(*, metric: str, cluster_id: UUID, kind: str, subject_id: str) -> list[str]:
    """The devices for which a subject has a series of this metric, in numeric order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT device FROM public.series_series WHERE schema_name = current_schema() AND cluster_id = %s "
            "AND subject_kind = %s AND subject_id = %s AND metric = %s",
            [cluster_id, kind, subject_id, metric],
        )
        return sorted((row[0] for row in cursor.fetchall()), key=lambda name: (len(name), name))


def make_partitions(today: date) -> int:
    """Partitions from yesterday to ``AHEAD_DAYS`` ahead; returns how many were new."""
    made = 0
    with connection.cursor() as cursor:
        for offset in range(-1, AHEAD_DAYS + 1):
            cursor.execute("SELECT public.series_make_partition(%s)", [today + timedelta(days=offset)])
            row = cursor.fetchone()
            made += bool(row and row[0])
    return made


def drop_partitions(today: date, keep_days: int) -> int:
    """Drop whole days that lie before the retention; returns how many. Days not there are fine: safe to repeat."""
    oldest = f"series_sample_{today - timedelta(days=keep_days):%Y%m%d}"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'public.series_sample'::regclass AND c.relname < %s",
            [oldest],
        )
        names = [row[0] for row in cursor.fetchall()]
        for name in names:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS public.{}").format(sql.Identifier(name)))
    return len(names)


def prune(keep_days: int) -> int:
    """Forget series of the current tenant that have no sample left and are older than the retention."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM public.series_series s WHERE s.schema_name = current_schema() "
            "AND s.created_at < now() - make_interval(days => %s) "
            "AND NOT EXISTS (SELECT 1 FROM public.series_sample v WHERE v.series_id = s.id)",
            [keep_days],
        )
        return int(cursor.rowcount)


def _check_span(start: datetime, end: datetime, points: int) -> None:
    wrong = []
    if end <= start:
        wrong.append(FieldError("end", "must be after start", given=end.isoformat()))
    if not 0 <= points <= MAX_POINTS:
        wrong.append(FieldError("numberOfSamples", f"must be 0 to {MAX_POINTS}", given=points, allowed="0..1000"))
    if wrong:
        raise Invalid(*wrong)


def _averages(
    lines: Sequence[Line], start: datetime, end: datetime, width: timedelta
) -> list[tuple[str, UUID, str, str, str, datetime, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.metric, s.cluster_id, s.subject_kind, s.subject_id, s.device, date_bin(%s, v.at, %s), avg(v.value)
            FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[])
                 AS k(metric, cluster_id, kind, id, device)
            JOIN public.series_series s ON s.schema_name = current_schema() AND s.cluster_id = k.cluster_id
              AND s.metric = k.metric AND s.subject_kind = k.kind AND s.subject_id = k.id AND s.device = k.device
            JOIN public.series_sample v ON v.series_id = s.id AND v.at >= %s AND v.at < %s
            GROUP BY 1, 2, 3, 4, 5, 6
            """,
            [
                width,
                start,
                [metric for metric, _ in lines],
                [subject.cluster_id for _, subject in lines],
                [subject.kind for _, subject in lines],
                [subject.id for _, subject in lines],
                [subject.device for _, subject in lines],
                start,
                end,
            ],
        )
        return list(cursor.fetchall())


def _points(found: dict[int, float], start: datetime, width: timedelta, count: int) -> list[Point]:
    held = int(HOLD / width)
    line: list[Point] = []
    last_index, last_value = None, None
    for index in range(count):
        if index in found:
            last_index, last_value = index, found[index]
        fresh = last_index is not None and index - last_index <= held
        line.append((start + index * width, last_value if fresh else None))
    return line
