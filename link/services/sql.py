"""Small helpers for this room's own SQL on Django's connection: rows as named tuples, one locked counter."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from runai_cp.lib.errors import NotFound


def query(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
    """Rows as named tuples; an empty list for a statement that returns none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        if cursor.description is None:
            return []
        row_type = namedtuple("Row", [column[0] for column in cursor.description])  # type: ignore[misc]
        return [row_type(*row) for row in cursor.fetchall()]


def execute(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
    """How many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def lock_cluster(cluster_id: UUID) -> Any:
    """The cluster's row, locked until the caller's transaction ends. Raises ``NotFound`` when unknown or removed."""
    rows = query(
        "SELECT id, schema_name, name, state, last_seq, last_rev, public_key FROM public.link_cluster "
        "WHERE id = %s AND state <> 'removed' FOR UPDATE",
        [cluster_id],
    )
    if not rows:
        raise NotFound(f"cluster {cluster_id} has no mailbox")
    return rows[0]
