"""Logs of containers: ask the agent for a stream, read what has come so far.

Bytes are exact: an offset names a byte, and a reader that comes back with ``next_offset`` misses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from agent.wire.codec import to_dict
from agent.wire.commands import Kind
from agent.wire.messages import LogOrder, LogTarget
from link.services.commands import send_command
from link.services.sql import execute, query
from runai_cp.lib.errors import Invalid, NotFound
from runai_cp.lib.models import uuid7

MAX_READ = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogChunk:
    data: bytes
    next_offset: int
    """Offset to read from next."""
    ended: bool
    """Nothing will follow ``next_offset``."""
    error: str = ""


@transaction.atomic
def open_log(
    *, cluster_id: UUID, target: LogTarget | dict[str, Any], follow: bool = True, tail: int | None = None
) -> UUID:
    """Ask for a container's log; returns the stream's id. ``tail``: only that many last lines of what there is."""
    known = target if isinstance(target, LogTarget) else LogTarget(**target)
    if tail is not None and not 0 <= tail <= 1_000_000:
        raise Invalid.of({"tail": f"{tail} given, allowed are 0 to 1000000 lines"})
    stream_id = uuid7()
    execute(
        "INSERT INTO public.link_logstream (id, cluster_id, target, follow, tail, next_offset, ended, error, closed, "
        "read_at, created_at) VALUES (%s, %s, %s, %s, %s, 0, false, '', false, now(), now())",
        [stream_id, cluster_id, json.dumps(to_dict(known)), follow, tail],
    )
    order = to_dict(LogOrder(str(stream_id), known, follow, tail))
    send_command(cluster_id=cluster_id, kind=Kind.LOG_OPEN, body=order, start_within_s=60)
    return stream_id


def read_log(*, stream_id: UUID, cluster_ids: Iterable[UUID], offset: int = 0, limit: int = 256 * 1024) -> LogChunk:
    """Bytes from ``offset`` on, at most ``limit``; keeps the stream open for another minute.

    ``cluster_ids`` are the clusters the reader may see. Raises ``NotFound`` for any other stream.
    """
    rows = query(
        "UPDATE public.link_logstream SET read_at = now() WHERE id = %s AND cluster_id = ANY(%s) "
        "RETURNING next_offset, ended, error",
        [stream_id, list(cluster_ids)],
    )
    if not rows:
        raise NotFound("log stream not found")
    stream, data = rows[0], bytearray()
    limit = max(1, min(limit, MAX_READ))
    for chunk in query(
        'SELECT "offset", data FROM public.link_logchunk WHERE stream_id = %s AND "offset" + length(data) > %s '
        'AND "offset" < %s ORDER BY "offset" LIMIT 64',
        [stream_id, offset, offset + limit],
    ):
        start = offset + len(data) - int(chunk.offset)
        if start < 0:
            break
        data += bytes(chunk.data)[start : start + limit - len(data)]
    after = offset + len(data)
    return LogChunk(bytes(data), after, bool(stream.ended) and after >= stream.next_offset, stream.error)


@transaction.atomic
def close_log(*, stream_id: UUID) -> None:
    """Nobody reads it any more: the agent stops sending. Safe to repeat."""
    rows = query(
        "UPDATE public.link_logstream SET closed = true WHERE id = %s AND NOT closed RETURNING cluster_id, ended",
        [stream_id],
    )
    if rows and not rows[0].ended:
        body = {"streamId": str(stream_id)}
        send_command(cluster_id=rows[0].cluster_id, kind=Kind.LOG_CLOSE, body=body, start_within_s=60)
