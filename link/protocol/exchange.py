"""What one poll does: apply what the agent said, then decide what it is offered. Pure; all times in server ms.

The same functions run over rows of PostgreSQL in production and over dicts in the simulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.wire import limits
from agent.wire.commands import Delivery
from agent.wire.messages import Ack, Cursor
from link.protocol.commands import ENDED, IN_AGENT, CommandRow, CommandState, Fact, advance, fact_of_ack


@dataclass(frozen=True, slots=True)
class Settlement:
    """``changed`` are rows to write (new state, limit, code); ``offers`` ids in order of seq."""

    changed: tuple[CommandRow, ...] = ()
    offers: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    acked: tuple[str, ...] = ()
    more: bool = False


def settle_acks(
    rows: Sequence[CommandRow], acks: Iterable[Ack], running: Iterable[str], now: int, lease_ms: int = limits.LEASE_MS
) -> Settlement:
    """Apply acks and lease renewals to the open rows. Unknown and ended commands change nothing but count as acked."""
    by_id = {row.id: row for row in rows}
    acked: list[str] = []
    for ack in acks:
        acked.append(ack.id)
        fact, row = fact_of_ack(ack.state), by_id.get(ack.id)
        if fact is not None and row is not None:
            by_id[row.id] = _moved(row, fact, now, lease_ms, ack.code)
    for name in running:
        row = by_id.get(name)
        if row is not None and row.state in IN_AGENT:
            state = CommandState.HELD if row.state is CommandState.UNCONFIRMED else row.state
            by_id[name] = replace(row, state=state, until=now + lease_ms)
    changed = tuple(by_id[row.id] for row in rows if by_id[row.id] != row)
    return Settlement(changed=changed, acked=tuple(acked))


def settle_offers(
    rows: Sequence[CommandRow],
    cursor_seq: int,
    capacity: int,
    now: int,
    *,
    named: frozenset[str] = frozenset(),
    lease_ms: int = limits.LEASE_MS,
) -> Settlement:
    """Which open rows (ascending seq) a poll with this cursor is offered, and what the cursor proves of the others.

    ``named``: commands the same request said to hold; they are in the journal whatever the cursor says.
    """
    changed: list[CommandRow] = []
    offers: list[str] = []
    room = max(0, min(capacity, limits.MAX_COMMANDS))
    more = False
    for row in rows:
        if row.seq <= cursor_seq or row.id in named:
            continue
        after = _beyond_cursor(row, now, lease_ms)
        if after.state is CommandState.OFFERED:
            if len(offers) >= room:
                more = True
                after = row
            else:
                offers.append(row.id)
        if after != row:
            changed.append(after)
    cancel = tuple(row.id for row in rows if _stoppable(row) and (row.seq <= cursor_seq or row.id in named))
    return Settlement(tuple(changed), tuple(offers), cancel, more=more and room > 0)


def _stoppable(row: CommandRow) -> bool:
    """Its cancellation is worth telling: it may still not have been started. A poll with something to tell is answered
    at once, so one that was told of what runs, or of what nobody knows of, would come again and again."""
    return row.cancel and row.state in {CommandState.OFFERED, CommandState.HELD}


def _beyond_cursor(row: CommandRow, now: int, lease_ms: int) -> CommandRow:
    """A row the cursor stops short of: not in the agent's journal, and no older answer can still bring it there."""
    if row.state in IN_AGENT:
        if row.delivery is Delivery.AT_MOST_ONCE or row.cancel:
            return row if row.state is CommandState.UNCONFIRMED else _moved(row, Fact.JOURNAL_LOST, now, lease_ms)
        return replace(row, state=CommandState.OFFERED, until=None)  # safe to run again: offer it anew
    if row.cancel:
        return _moved(row, Fact.CANCEL if row.state is CommandState.OWED else Fact.WITHDRAWN, now, lease_ms)
    if now >= row.not_after:
        return _moved(row, Fact.NOT_TAKEN, now, lease_ms)
    return replace(row, state=CommandState.OFFERED, until=None)


def overdue(row: CommandRow, now: int, lease_ms: int = limits.LEASE_MS) -> CommandRow:
    """What the sweeper makes of an open row: the same row when its time is not over, or time alone proves nothing."""
    limit = row.not_after if row.state in {CommandState.OWED, CommandState.OFFERED} else row.until
    if row.state is CommandState.OWED and row.cancel:
        return _moved(row, Fact.CANCEL, now, lease_ms)
    if limit is None or now < limit:
        return row
    return _moved(row, Fact.OVERDUE, now, lease_ms)


def _moved(row: CommandRow, fact: Fact, now: int, lease_ms: int, code: str = "") -> CommandRow:
    state = advance(row.state, fact)
    if state is row.state and fact not in {Fact.RECEIVED, Fact.STARTED}:
        return row
    if state in ENDED:
        return replace(row, state=state, until=None, code=code or _CODES.get(fact, ""))
    until = now + lease_ms if state in IN_AGENT else None
    return replace(row, state=state, until=until)


_CODES = {
    Fact.NOT_TAKEN: "not_taken_in_time",
    Fact.OVERDUE: "overdue",
    Fact.WITHDRAWN: "cancelled",
    Fact.CANCEL: "cancelled",
}


# ---------------------------------------------------------------- documents


@dataclass(frozen=True, slots=True)
class DesiredPlan:
    """Which documents to read: a delta ``rev > since``, or a page of a full set ``key > after``."""

    full: bool
    since: int
    to: int
    after: str = ""


def plan_desired(cursor: Cursor, last_rev: int, pruned_rev: int) -> DesiredPlan | None:
    """None when the agent has everything.

    A full set is owed to an agent that knows nothing (rev 0), that is older than the pruned tombstones, or that is
    ahead of the server (a restored backup). Its pages share one ``to``: what changes meanwhile has a higher rev and
    follows as a delta.
    """
    if 0 < cursor.full_to <= last_rev and cursor.full_after and cursor.full_to >= pruned_rev:
        return DesiredPlan(full=True, since=cursor.desired_rev, to=cursor.full_to, after=cursor.full_after)
    if last_rev == 0 and cursor.desired_rev == 0:
        return None
    if cursor.desired_rev == 0 or cursor.desired_rev < pruned_rev or cursor.desired_rev > last_rev:
        return DesiredPlan(full=True, since=cursor.desired_rev, to=last_rev)
    if cursor.desired_rev < last_rev:
        return DesiredPlan(full=False, since=cursor.desired_rev, to=last_rev)
    return None


# ---------------------------------------------------------------- sessions


@dataclass(frozen=True, slots=True)
class SessionDecision:
    epoch: int
    log: tuple[tuple[str, int], ...]
    resumed: bool
    """The same instance again (its answer was lost): nothing changes."""
    cloned: bool = False


CLONE_WINDOW_MS = 300_000
CLONE_TURNS = 3


def open_session(
    epoch: int, current: str, log: Sequence[tuple[str, int]], instance_id: str, now: int
) -> SessionDecision:
    """Accept a session: the epoch rises with every new instance. Instances that come back in turn are clones.

    An instance id lives for one term of leadership, so a former leader never comes back under its old name.
    """
    recent = tuple((name, at) for name, at in log if now - at < CLONE_WINDOW_MS)
    if instance_id == current:
        return SessionDecision(epoch, recent, resumed=True)
    recent = (*recent, (instance_id, now))
    names = [name for name, _ in recent]
    turns = sum(1 for index, name in enumerate(names) if name in names[:index])
    return SessionDecision(epoch + 1, recent[-20:], resumed=False, cloned=turns >= CLONE_TURNS)
