"""Rows for the rooms above, written in the transaction of the fact they tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from link.store.pool import Conn

_ADD = """
INSERT INTO public.link_inbox (schema_name, topic, cluster_id, kind, uid, op, body, report_seq, created_at)
SELECT %(schema)s, %(topic)s, %(cluster)s, v.kind, v.uid, 'upsert', v.body, 0, now()
FROM unnest(%(kinds)s::text[], %(uids)s::text[], %(bodies)s::jsonb[]) WITH ORDINALITY AS v(kind, uid, body, n)
ORDER BY v.n
"""


async def add_rows(
    conn: Conn, schema_name: str, topic: str, cluster_id: UUID, rows: Sequence[tuple[str, str, dict[str, Any]]]
) -> None:
    """``rows`` are (kind, uid, body)."""
    params = {
        "schema": schema_name,
        "topic": topic,
        "cluster": cluster_id,
        "kinds": [row[0] for row in rows],
        "uids": [row[1] for row in rows],
        "bodies": [Jsonb(row[2]) for row in rows],
    }
    await conn.execute(_ADD, params)


async def add_security(conn: Conn, schema_name: str, cluster_id: UUID, event: str, detail: dict[str, Any]) -> None:
    """A security event becomes an audit entry of the tenant (``access``)."""
    await add_rows(conn, schema_name, "security", cluster_id, [("Security", str(uuid4()), {"event": event, **detail})])


async def add_anomaly(
    conn: Conn, cluster_id: UUID, kind: str, detail: dict[str, Any], command_id: UUID | None = None
) -> None:
    await conn.execute(
        "INSERT INTO public.link_anomaly (cluster_id, kind, command_id, detail, at) VALUES (%s, %s, %s, %s, now())",
        [cluster_id, kind, command_id, Jsonb(detail)],
    )
