"""What comes up: results, state, events, logs, metrics, blobs."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

from psycopg import Connection

from agent.wire import limits
from agent.wire.codec import from_dict
from agent.wire.messages import (
    EventsRequest,
    LogEnd,
    MetricsAnswer,
    ResultsRequest,
    SnapshotPage,
    StateDelta,
)
from agent.wire.reports import STATE_KINDS, EventReport
from agent.wire.samples import SampleBatch
from link.agent_api.desk import Desk
from link.agent_api.http import Request, Response, answer, parse
from link.refusal import Refused
from link.store import exchange, state, streams
from link.store.inbox import add_rows
from link.store.mailbox import check_epoch, check_open, read_mailbox
from series import ingest


def _check_batch(count: int) -> None:
    if count > limits.MAX_BATCH:
        raise Refused(413, "too_many_items", f"{count} items given", permanent=True, max_items=limits.MAX_BATCH)


async def results(desk: Desk, request: Request) -> Response:
    """``POST results``: ends of commands, also late ones; acks and applied revisions ride along."""
    caller = desk.caller(request, "report")
    message = await request.message(ResultsRequest)
    _check_batch(len(message.items))
    for item in message.items:
        if len(item.output.encode()) > limits.MAX_RESULT_OUTPUT:
            raise Refused(413, "too_large", f"output of {item.id[:40]}: at most 32 KiB", permanent=True)
    done, security = await exchange.results(desk.pool, caller, message)
    if security:
        desk.nudger.nudge(security, {"security"})
    return answer(done)


async def delta(desk: Desk, request: Request) -> Response:
    """``POST state/delta``."""
    caller = desk.caller(request, "report")
    message = await request.message(StateDelta)
    _check_batch(len(message.items))
    done, topics = await state.take_delta(desk.pool, caller, message)
    desk.nudger.nudge(caller.schema_name, topics)
    return answer(done)


async def snapshot(desk: Desk, request: Request) -> Response:
    """``POST state/snapshot``."""
    caller = desk.caller(request, "report")
    message = await request.message(SnapshotPage)
    _check_batch(len(message.items))
    if not 1 <= len(message.snapshot_id) <= 64 or any(not 0 <= item <= 255 for item in message.buckets):
        raise Refused(422, "bad_message", "snapshotId or buckets out of range", permanent=True)
    done, topics = await state.take_page(desk.pool, caller, message)
    desk.nudger.nudge(caller.schema_name, topics)
    return answer(done)


async def events(desk: Desk, request: Request) -> Response:
    """``POST events``: Kubernetes events; the room that keeps them knows uid and count."""
    caller = desk.caller(request, "report")
    message = await request.message(EventsRequest)
    _check_batch(len(message.items))
    rows = []
    for item in message.items:
        try:
            report = from_dict(EventReport, item)
        except ValueError as error:
            raise Refused(422, "bad_message", str(error)[:300], permanent=True) from error
        rows.append(("Event", report.uid[:100], item))
    async with desk.pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        check_epoch(box, message.epoch)
        await add_rows(conn, box.schema_name, STATE_KINDS["Event"], caller.cluster_id, rows)
    desk.nudger.nudge(caller.schema_name, {STATE_KINDS["Event"]})
    return Response(204)


async def log_append(desk: Desk, request: Request, stream: str) -> Response:
    """``POST logs/{stream_id}?offset=``: raw bytes."""
    caller = desk.caller(request, "logs")
    data = await request.body(limits.MAX_BODY, limits.MAX_LOG_CHUNK)
    return answer(await streams.append_log(desk.pool, caller, _uuid(stream), request.number("offset"), data))


async def log_end(desk: Desk, request: Request, stream: str) -> Response:
    """``POST logs/{stream_id}/end``."""
    caller = desk.caller(request, "logs")
    return answer(await streams.end_log(desk.pool, caller, _uuid(stream), await request.message(LogEnd)))


async def metrics(desk: Desk, request: Request) -> Response:
    """``POST metrics``: the only call of a token with the scope ``metrics``."""
    caller = desk.caller(request, "metrics")
    raw = await request.body()
    async with desk.pool.connection() as conn:
        box = await read_mailbox(conn, caller.cluster_id)
    check_open(box, caller.schema_name, caller.key_version)

    def work(conn: Connection[Any]) -> int:
        batch = parse(SampleBatch, raw)
        try:
            return ingest.write(conn, box.schema_name, caller.cluster_id, batch)
        except ValueError as error:
            raise Refused(422, "bad_message", str(error)[:300], permanent=True) from error

    return answer(MetricsAnswer(await desk.store_metrics(work)))


async def blob_get(desk: Desk, request: Request, address: str) -> Response:
    """``GET blobs/{sha256}``."""
    caller = desk.caller(request, "poll")
    data = await streams.read_blob(desk.pool, caller, _address(address))
    return Response(200, data, "application/octet-stream")


async def blob_put(desk: Desk, request: Request, address: str) -> Response:
    """``PUT blobs/{sha256}``: the content must have this address."""
    caller = desk.caller(request, "report")
    data = await request.body(limits.MAX_BLOB, limits.MAX_BLOB)
    if sha256(data).hexdigest() != _address(address):
        raise Refused(422, "bad_address", "the content has another SHA-256", permanent=True)
    await streams.store_blob(desk.pool, caller, address, data)
    return Response(204)


async def scheduler_put(desk: Desk, request: Request) -> Response:
    """``PUT scheduler``: what the cluster's scheduler sees, a compressed file; it takes the place of the one before."""
    caller = desk.caller(request, "report")
    data = await request.body(limits.MAX_BLOB, limits.MAX_BLOB)
    if not data.startswith(b"\x1f\x8b"):
        raise Refused(422, "bad_message", "a scheduler's snapshot is compressed with gzip", permanent=True)
    await streams.store_scheduler(desk.pool, caller, data)
    return Response(204)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Refused(404, "unknown_stream", "no such stream", permanent=True) from error


def _address(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise Refused(422, "bad_address", "64 hexadecimal digits are needed", permanent=True)
    return text
