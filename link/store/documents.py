"""Documents out of the tables: deltas, pages of full sets, and what could not be applied."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from uuid import UUID

from agent.wire import limits
from agent.wire.codec import to_json
from agent.wire.messages import Applied, Desired, DesiredItem, Failure
from link.protocol.exchange import DesiredPlan
from link.store.mailbox import Mailbox
from link.store.pool import Conn

PAGE = 200
_SELECT = (
    "SELECT key, rev, hash, body::text AS body, body_ref, deleted_at FROM public.link_desired WHERE cluster_id = %s "
)


async def read_desired(conn: Conn, box: Mailbox, plan: DesiredPlan) -> tuple[Desired, bool]:
    """The answer's documents, and whether more follow at once. Cut at 200 items or 192 KiB."""
    if plan.full:
        found = await conn.execute(
            _SELECT + "AND deleted_at IS NULL AND key > %s ORDER BY key LIMIT %s",
            [box.cluster_id, plan.after, PAGE + 1],
        )
    else:
        found = await conn.execute(
            _SELECT + "AND rev > %s AND rev <= %s ORDER BY rev LIMIT %s",
            [box.cluster_id, plan.since, plan.to, PAGE + 1],
        )
    rows = await found.fetchall()
    taken = _fitting(rows)
    items = tuple(_item(row, box.cluster_id) for row in taken)
    cut = len(taken) < len(rows)
    if plan.full:
        confirmed = box.removals_confirmed_rev >= plan.to
        return Desired(plan.since, plan.to, True, not cut, items, confirmed), cut
    return Desired(plan.since, taken[-1].rev if cut else plan.to, items=items), cut


def _fitting(rows: list[Any]) -> list[Any]:
    size = 0
    for index, row in enumerate(rows[:PAGE]):
        size += len(row.body or "") + 200
        if size > limits.MAX_ANSWER * 3 // 4 and index:
            return rows[:index]
    return rows[:PAGE]


def _item(row: Any, cluster_id: UUID) -> DesiredItem:
    if row.deleted_at is not None:
        return DesiredItem(row.key, row.rev, "delete", str(cluster_id))
    body = json.loads(row.body) if row.body is not None else None
    return DesiredItem(row.key, row.rev, "put", str(cluster_id), row.hash, body, row.body_ref or None)


def failures_hash(failed: tuple[Failure, ...]) -> str:
    """Empty for no failures, so that the common case writes nothing."""
    return sha256(to_json(failed)).hexdigest()[:32] if failed else ""


def applied_changes(box: Mailbox, applied: Applied | None) -> bool:
    if applied is None:
        return False
    return (
        min(applied.desired_rev, box.last_rev) > box.applied_rev or failures_hash(applied.failed) != box.failures_hash
    )


async def write_applied(conn: Conn, box: Mailbox, applied: Applied) -> None:
    """How far the agent has come, and which documents it could not apply. Only when it says something new."""
    digest = failures_hash(applied.failed)
    await conn.execute(
        "UPDATE public.link_agentsession SET applied_rev = GREATEST(applied_rev, LEAST(%s, %s)), failures_hash = %s "
        "WHERE cluster_id = %s",
        [applied.desired_rev, box.last_rev, digest, box.cluster_id],
    )
    if digest == box.failures_hash:
        return
    failed = applied.failed[: limits.MAX_FAILURES]
    await conn.execute(
        "UPDATE public.link_desired SET error_rev = 0, error_code = '', error_message = '' "
        "WHERE cluster_id = %s AND error_rev > 0 AND NOT (key = ANY(%s))",
        [box.cluster_id, [item.key for item in failed]],
    )
    await conn.execute(
        "UPDATE public.link_desired d SET error_rev = v.rev, error_code = v.code, error_message = v.message "
        "FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[]) AS v(key, rev, code, message) "
        "WHERE d.cluster_id = %s AND d.key = v.key",
        [
            [item.key for item in failed],
            [item.rev for item in failed],
            [item.code[:64] for item in failed],
            [item.message[:1000] for item in failed],
            box.cluster_id,
        ],
    )
