"""A poll's and a results' transaction: read, decide by ``link.protocol``, write in few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from agent.wire import limits
from agent.wire.commands import ResultState, Verdict
from agent.wire.messages import (
    Command,
    Desired,
    Directives,
    PollAnswer,
    PollRequest,
    Receipt,
    Result,
    ResultsAnswer,
    ResultsRequest,
)
from link.protocol.commands import ENDED, CommandRow, judge_result, proves_double_execution
from link.protocol.exchange import Settlement, plan_desired, settle_acks, settle_offers
from link.refusal import Refused
from link.store.commands import lock_open, lock_some, read_bodies, write_results, write_rows
from link.store.documents import applied_changes, read_desired, write_applied
from link.store.inbox import add_anomaly, add_security
from link.store.mailbox import Mailbox, check_epoch, check_open, read_mailbox
from link.store.pool import Conn, Pool


@dataclass(frozen=True, slots=True)
class Caller:
    """Who knocks, from the access token alone."""

    cluster_id: UUID
    schema_name: str
    key_version: int
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """``news``: worth answering at once."""

    answer: PollAnswer
    news: bool
    box: Mailbox


async def poll(pool: Pool, caller: Caller, request: PollRequest, directives: Directives, *, first: bool) -> Exchange:
    """Apply what the poll says (``first``) and read what is owed. Everything is committed when this returns.

    Raises ``Refused`` for a stale epoch, a superseded poll, a revoked or removed cluster.
    """
    async with pool.connection() as conn:
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        _check_poll(box, request, first=first)
        commands: tuple[Command, ...] = ()
        settled = Settlement()
        if box.has_commands or (first and applied_changes(box, request.applied)):
            async with conn.transaction():
                box = await read_mailbox(conn, caller.cluster_id, lock=True)
                _check_poll(box, request, first=first)
                commands, settled = await _settle(conn, box, request, first=first)
        desired, more = await _desired(conn, box, request)
    acked = tuple(ack.id for ack in request.acks)
    answer = PollAnswer(
        epoch=box.epoch,
        server_generation=box.generation,
        server_time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        commands=commands,
        cancel=settled.cancel,
        desired=desired,
        acked=acked,
        report_seq=box.report_seq,
        directives=directives,
        more=more or settled.more,
    )
    return Exchange(answer, bool(commands or settled.cancel or desired), box)


def _check_poll(box: Mailbox, request: PollRequest, *, first: bool) -> None:
    check_epoch(box, request.epoch)
    if request.poll_seq < box.poll_seq or (first and request.poll_seq == box.poll_seq):
        raise Refused(409, "superseded", "a newer poll of this session is here")


async def _settle(
    conn: Conn, box: Mailbox, request: PollRequest, *, first: bool
) -> tuple[tuple[Command, ...], Settlement]:
    await conn.execute(
        "UPDATE public.link_agentsession SET poll_seq = %s WHERE cluster_id = %s", [request.poll_seq, box.cluster_id]
    )
    if first and request.applied is not None and applied_changes(box, request.applied):
        await write_applied(conn, box, request.applied)
    rows = await lock_open(conn, box.cluster_id)
    changed: dict[str, CommandRow] = {}
    if first:
        changed = {row.id: row for row in settle_acks(rows, request.acks, request.running, box.now).changed}
        rows = [row for row in (changed.get(row.id, row) for row in rows) if row.state not in ENDED]
    named = frozenset(request.running) | frozenset(ack.id for ack in request.acks)
    settled = settle_offers(rows, request.cursor.command_seq, request.capacity, box.now, named=named)
    changed.update({row.id: row for row in settled.changed})
    await write_rows(conn, list(changed.values()))
    return await read_bodies(conn, box.cluster_id, settled.offers), settled


async def _desired(conn: Conn, box: Mailbox, request: PollRequest) -> tuple[Desired | None, bool]:
    plan = plan_desired(request.cursor, box.last_rev, box.pruned_rev)
    if plan is None:
        return None, False
    return await read_desired(conn, box, plan)


async def results(pool: Pool, caller: Caller, request: ResultsRequest) -> tuple[ResultsAnswer, str]:
    """Take results, even of an old epoch: they are evidence. Acks count only from the current one.

    Returns the answer and the tenant's schema if something for its inbox was written, else "".
    """
    async with pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        current = request.epoch == box.epoch
        receipts = await _take_results(conn, box, request.items, late=not current)
        acked: tuple[str, ...] = ()
        if current and (request.acks or request.running):
            rows = await lock_open(conn, box.cluster_id)
            await write_rows(conn, settle_acks(rows, request.acks, request.running, box.now).changed)
            acked = tuple(ack.id for ack in request.acks)
        if current and request.applied is not None and applied_changes(box, request.applied):
            await write_applied(conn, box, request.applied)
        refused = [item for item in request.items if item.code == "wrong_cluster"]
        if refused:
            detail = {"cluster": box.name, "commands": len(refused)}
            await add_security(conn, box.schema_name, box.cluster_id, "wrong_cluster", detail)
    return ResultsAnswer(receipts, acked), box.schema_name if refused else ""


async def _take_results(conn: Conn, box: Mailbox, items: Sequence[Result], *, late: bool) -> tuple[Receipt, ...]:
    for item in items:
        if item.state not in set(ResultState):
            allowed = ", ".join(ResultState)
            raise Refused(
                422, "bad_message", f"state: {item.state[:20]!r} given, allowed are {allowed}", permanent=True
            )
    known = {item.id: item for item in items if _is_uuid(item.id)}
    rows = await lock_some(conn, box.cluster_id, [UUID(name) for name in known]) if known else {}
    receipts, changed, told = [], [], []
    for item in items:
        row = rows.get(item.id)
        state = ResultState(item.state)
        verdict, after = judge_result(row, state)
        if row is not None and after is not None:
            until = None if after in ENDED else box.now + limits.LEASE_MS
            rows[item.id] = CommandRow(
                row.id, row.seq, after, row.delivery, row.not_after, until, row.cancel, item.code[:64]
            )
            changed.append(rows[item.id])
            told.append((item, late))
        elif row is not None and verdict is Verdict.CONFLICT:
            double = proves_double_execution(row.state, state)
            detail = {"stored": row.state.value, "told": state.value, "late": late}
            kind = "second_result" if double else "late_result"
            await add_anomaly(conn, box.cluster_id, kind, detail, UUID(row.id))
        receipts.append(Receipt(item.id, verdict))
    await write_rows(conn, changed)
    await write_results(conn, told)
    return tuple(receipts)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
