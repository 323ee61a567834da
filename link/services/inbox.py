"""The inbox: what came up from the clusters, claimed by the room that owns the fact.

Order is kept within a tenant and topic: one claim at a time, oldest rows first. Rows are deleted in the claimer's own
transaction, so a worker that dies in between loses and repeats nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from link.services.sql import execute, query


@dataclass(frozen=True, slots=True)
class InboxItem:
    """``body`` is a dataclass of ``agent.wire.reports`` as JSON (``codec.from_dict`` reads it); None for a delete."""

    cluster_id: UUID
    kind: str
    uid: str
    op: str
    """``upsert`` or ``delete``."""
    body: dict[str, Any] | None
    report_seq: int


@contextmanager
def claim_inbox(*, schema_name: str, topic: str, limit: int = 500) -> Iterator[Sequence[InboxItem]]:
    """Rows of one topic, oldest first, in a transaction that deletes them when the block ends well.

    Another claim of the same topic waits until this one has ended. Fewer rows than ``limit`` means the topic was
    empty then; otherwise claim again.
    """
    with transaction.atomic():
        query("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", [f"inbox/{schema_name}/{topic}"])
        rows = query(
            "SELECT id, cluster_id, kind, uid, op, body, report_seq FROM public.link_inbox "
            "WHERE schema_name = %s AND topic = %s ORDER BY id LIMIT %s",
            [schema_name, topic, limit],
        )
        yield [
            InboxItem(row.cluster_id, row.kind, row.uid, row.op, _loads(row.body), int(row.report_seq)) for row in rows
        ]
        if rows:
            execute("DELETE FROM public.link_inbox WHERE id = ANY(%s)", [[row.id for row in rows]])


def inbox_backlog() -> list[tuple[str, str, int]]:
    """(schema name, topic, rows) of everything that waits."""
    rows = query("SELECT schema_name, topic, count(*) AS n FROM public.link_inbox GROUP BY 1, 2 ORDER BY 1, 2")
    return [(row.schema_name, row.topic, int(row.n)) for row in rows]


def report_security(*, cluster_id: UUID, schema_name: str, event: str, detail: dict[str, Any]) -> None:
    """Put a security event (refused enrolment, cloned credential) where ``access`` turns it into an audit entry."""
    execute(
        "INSERT INTO public.link_inbox (schema_name, topic, cluster_id, kind, uid, op, body, report_seq, created_at) "
        "VALUES (%s, 'security', %s, 'Security', %s, 'upsert', %s, 0, now())",
        [schema_name, cluster_id, str(uuid4()), json.dumps({"event": event, **detail})],
    )


def _loads(value: Any) -> Any:
    return json.loads(value) if isinstance(value, (str, bytes)) else value
