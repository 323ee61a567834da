"""Bytes of logs and blobs: appended exactly once by offset, found by the address of their content."""

from __future__ import annotations

from uuid import UUID

from agent.wire import limits
from agent.wire.messages import LogAnswer, LogEnd
from link.refusal import Refused
from link.store.exchange import Caller
from link.store.mailbox import check_open, read_mailbox
from link.store.pool import Conn, Pool


async def append_log(pool: Pool, caller: Caller, stream_id: UUID, offset: int, data: bytes) -> LogAnswer:
    """Append what is new of ``data``; bytes that are there already are left alone.

    Raises ``Refused`` 409 with ``next`` when bytes before ``offset`` are missing, 404 for another cluster's stream.
    """
    async with pool.connection() as conn, conn.transaction():
        stream = await _lock(conn, caller, stream_id)
        if offset > stream.next_offset:
            raise Refused(409, "gap", "bytes are missing before this offset", next=stream.next_offset)
        fresh = data[stream.next_offset - offset :]
        after = stream.next_offset + len(fresh)
        if after > limits.MAX_LOG_STREAM:
            await _end(conn, stream_id, "the log is larger than 1 GiB")
            return LogAnswer(stream.next_offset, closed=True)
        if fresh and not stream.closed and not stream.ended:
            await conn.execute(
                'INSERT INTO public.link_logchunk (stream_id, "offset", data) VALUES (%s, %s, %s)',
                [stream_id, stream.next_offset, fresh],
            )
            await conn.execute("UPDATE public.link_logstream SET next_offset = %s WHERE id = %s", [after, stream_id])
            return LogAnswer(after)
    return LogAnswer(stream.next_offset, closed=stream.closed or stream.ended)


async def end_log(pool: Pool, caller: Caller, stream_id: UUID, end: LogEnd) -> LogAnswer:
    """The stream is complete. Raises ``Refused`` 409 with ``next`` when not all bytes are here."""
    async with pool.connection() as conn, conn.transaction():
        stream = await _lock(conn, caller, stream_id)
        if end.total > stream.next_offset and not stream.closed:
            raise Refused(409, "gap", "bytes are missing before the end", next=stream.next_offset)
        await _end(conn, stream_id, end.error)
    return LogAnswer(stream.next_offset, closed=True)


async def _lock(conn: Conn, caller: Caller, stream_id: UUID):  # type: ignore[no-untyped-def]
    box = await read_mailbox(conn, caller.cluster_id)
    check_open(box, caller.schema_name, caller.key_version)
    found = await conn.execute(
        "SELECT next_offset, ended, closed FROM public.link_logstream WHERE id = %s AND cluster_id = %s FOR UPDATE",
        [stream_id, caller.cluster_id],
    )
    row = await found.fetchone()
    if row is None:
        raise Refused(404, "unknown_stream", "no such stream of this cluster", permanent=True)
    return row


async def _end(conn: Conn, stream_id: UUID, error: str) -> None:
    await conn.execute(
        "UPDATE public.link_logstream SET ended = true, error = %s WHERE id = %s AND NOT ended",
        [error[:500].replace("\x00", ""), stream_id],
    )


async def read_blob(pool: Pool, caller: Caller, sha256: str) -> bytes:
    """Raises ``Refused`` 404."""
    async with pool.connection() as conn:
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        found = await conn.execute(
            "SELECT data FROM public.link_blob WHERE cluster_id = %s AND sha256 = %s", [caller.cluster_id, sha256]
        )
        row = await found.fetchone()
    if row is None:
        raise Refused(404, "unknown_blob", "no such blob of this cluster", permanent=True)
    return bytes(row.data)


async def store_blob(pool: Pool, caller: Caller, sha256: str, data: bytes) -> None:
    """Safe to repeat: the address is the content's."""
    async with pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        await conn.execute(
            "INSERT INTO public.link_blob (cluster_id, sha256, data, created_at) VALUES (%s, %s, %s, now()) "
            "ON CONFLICT (cluster_id, sha256) DO UPDATE SET created_at = now()",
            [caller.cluster_id, sha256, data],
        )


async def store_scheduler(pool: Pool, caller: Caller, data: bytes) -> None:
    """Keeps the last one of each cluster. Safe to repeat."""
    async with pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        await conn.execute(
            "INSERT INTO public.link_schedulersnapshot (cluster_id, data, taken_at) VALUES (%s, %s, now()) "
            "ON CONFLICT (cluster_id) DO UPDATE SET data = EXCLUDED.data, taken_at = EXCLUDED.taken_at",
            [caller.cluster_id, data],
        )
