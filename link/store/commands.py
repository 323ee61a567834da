"""Rows of commands in and out of the protocol's pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from agent.wire.commands import Delivery
from agent.wire.messages import Command, Result
from link.protocol.commands import ENDED, CommandRow, CommandState
from link.store.pool import Conn

_COLUMNS = """
SELECT id, seq, state, delivery, cancel, start_within_ms, (extract(epoch FROM not_after) * 1000)::bigint AS not_after,
       (extract(epoch FROM lease_until) * 1000)::bigint AS until
FROM public.link_command
"""
_WRITE = """
UPDATE public.link_command c SET state = v.state, code = CASE WHEN v.code = '' THEN c.code ELSE v.code END,
       lease_until = to_timestamp(v.until / 1000.0), ended_at = CASE WHEN v.ended THEN now() END
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(codes)s::text[], %(untils)s::bigint[], %(ended)s::bool[])
     AS v(id, state, code, until, ended)
WHERE c.id = v.id
"""
_RESULTS = """
UPDATE public.link_command c
SET code = v.code, output = v.output, effects = v.effects, elapsed_ms = v.elapsed, late = v.late
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(outputs)s::text[], %(effects)s::jsonb[], %(elapsed)s::bigint[],
     %(late)s::bool[]) AS v(id, code, output, effects, elapsed, late)
WHERE c.id = v.id
"""


async def lock_open(conn: Conn, cluster_id: UUID) -> list[CommandRow]:
    """All open commands by seq (the number is bounded when they are sent), locked."""
    found = await conn.execute(
        _COLUMNS + "WHERE cluster_id = %s AND ended_at IS NULL ORDER BY seq FOR UPDATE", [cluster_id]
    )
    return [_row(row) for row in await found.fetchall()]


async def lock_some(conn: Conn, cluster_id: UUID, ids: Sequence[UUID]) -> dict[str, CommandRow]:
    """These commands of this cluster, whatever their state, locked in order of seq."""
    found = await conn.execute(
        _COLUMNS + "WHERE cluster_id = %s AND id = ANY(%s) ORDER BY seq FOR UPDATE", [cluster_id, list(ids)]
    )
    return {str(row.id): _row(row) for row in await found.fetchall()}


def _row(row: Any) -> CommandRow:
    return CommandRow(
        str(row.id),
        row.seq,
        CommandState(row.state),
        Delivery(row.delivery),
        row.not_after,
        row.until,
        row.cancel,
        start_within_ms=row.start_within_ms,
    )


async def write_rows(conn: Conn, rows: Sequence[CommandRow]) -> None:
    """Store new states, limits and codes in one statement."""
    if not rows:
        return
    params = {
        "ids": [UUID(row.id) for row in rows],
        "states": [row.state.value for row in rows],
        "codes": [row.code for row in rows],
        "untils": [row.until for row in rows],
        "ended": [row.state in ENDED for row in rows],
    }
    await conn.execute(_WRITE, params)


async def write_results(conn: Conn, results: Sequence[tuple[Result, bool]]) -> None:
    """What came with accepted results; the flag says that it came from an older epoch."""
    if not results:
        return
    params = {
        "ids": [UUID(item.id) for item, _ in results],
        "codes": [item.code[:64] for item, _ in results],
        "outputs": [item.output for item, _ in results],
        "effects": [
            Jsonb([{"gvk": e.gvk, "namespace": e.namespace, "name": e.name, "uid": e.uid} for e in item.effects])
            for item, _ in results
        ],
        "elapsed": [item.elapsed_ms for item, _ in results],
        "late": [late for _, late in results],
    }
    await conn.execute(_RESULTS, params)


async def read_bodies(conn: Conn, cluster_id: UUID, ids: Sequence[str]) -> tuple[Command, ...]:
    """Messages of offered commands, by seq."""
    if not ids:
        return ()
    found = await conn.execute(
        "SELECT id, seq, kind, v, delivery, object_key, body, start_within_ms, deadline_ms FROM public.link_command "
        "WHERE cluster_id = %s AND id = ANY(%s) ORDER BY seq",
        [cluster_id, [UUID(name) for name in ids]],
    )
    return tuple(
        Command(
            id=str(row.id),
            seq=row.seq,
            cluster_id=str(cluster_id),
            kind=row.kind,
            delivery=row.delivery,
            body=row.body,
            object_key=row.object_key,
            start_within_ms=row.start_within_ms,
            deadline_ms=row.deadline_ms,
            v=row.v,
        )
        for row in await found.fetchall()
    )
