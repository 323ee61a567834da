"""The life of a command as a table, and what each fact that comes in makes of it (agent-link.md section 3.5).

Two rules refine the drawing there, so that the truth always wins. A command that was *offered* may have been taken
although no word came back: it is never declared expired or cancelled on time alone, only when a later poll shows that
its cursor stops short of it. And a command that an agent holds can only be given up as *unconfirmed*: until the grace
of an unconfirmed one is over, the agent's own late word decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.wire.commands import AckState, Delivery, ResultState, Verdict


class CommandState(StrEnum):
    OWED = "owed"
    OFFERED = "offered"
    HELD = "held"
    RUNNING = "running"
    UNCONFIRMED = "unconfirmed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Fact(StrEnum):
    OFFERED = "offered"
    RECEIVED = "received"
    STARTED = "started"
    REJECTED = "rejected"
    NOT_TAKEN = "not taken"
    """A poll's cursor stops short of a command whose time is over: it never will be taken."""
    WITHDRAWN = "withdrawn"
    """The same for one that is cancelled."""
    JOURNAL_LOST = "journal lost"
    """A poll's cursor stops short of a command the agent had said to hold."""
    OVERDUE = "overdue"
    """Its lease (or start limit, or grace) is over without a word."""
    CANCEL = "cancel"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


_S, _F = CommandState, Fact
ENDED = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.EXPIRED, _S.UNKNOWN})
IN_AGENT = frozenset({_S.HELD, _S.RUNNING, _S.UNCONFIRMED})
_OPEN = tuple(state for state in CommandState if state not in ENDED)

_RESULTS = {
    _F.SUCCEEDED: _S.SUCCEEDED,
    _F.FAILED: _S.FAILED,
    _F.CANCELLED: _S.CANCELLED,
    _F.EXPIRED: _S.EXPIRED,
    _F.UNKNOWN: _S.UNCONFIRMED,  # a stopped predecessor may still bring the truth: unknown only after the grace
}
TRANSITIONS: dict[tuple[CommandState, Fact], CommandState] = {
    (_S.OWED, _F.OFFERED): _S.OFFERED,
    (_S.OWED, _F.OVERDUE): _S.EXPIRED,  # never offered: nobody can have taken it
    (_S.OWED, _F.CANCEL): _S.CANCELLED,
    (_S.OWED, _F.NOT_TAKEN): _S.EXPIRED,
    (_S.OFFERED, _F.NOT_TAKEN): _S.EXPIRED,
    (_S.OFFERED, _F.WITHDRAWN): _S.CANCELLED,
    (_S.OFFERED, _F.RECEIVED): _S.HELD,
    (_S.HELD, _F.OVERDUE): _S.UNCONFIRMED,
    (_S.RUNNING, _F.OVERDUE): _S.UNCONFIRMED,
    (_S.UNCONFIRMED, _F.OVERDUE): _S.UNKNOWN,
    (_S.HELD, _F.STARTED): _S.RUNNING,
    (_S.OFFERED, _F.STARTED): _S.RUNNING,
    (_S.UNCONFIRMED, _F.STARTED): _S.RUNNING,
    (_S.UNCONFIRMED, _F.RECEIVED): _S.HELD,
    **{(state, _F.REJECTED): _S.FAILED for state in (_S.OFFERED, _S.HELD, _S.UNCONFIRMED)},
    **{(state, _F.JOURNAL_LOST): _S.UNCONFIRMED for state in IN_AGENT},
    **{(state, fact): after for state in _OPEN for fact, after in _RESULTS.items()},
}
"""(state, fact) → state. A pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """What the rules need of a ``link_command`` row. ``until`` is its limit on the server's clock, in ms."""

    id: str
    seq: int
    state: CommandState
    delivery: Delivery
    not_after: int
    until: int | None = None
    cancel: bool = False
    code: str = ""
    start_within_ms: int = 120_000


def advance(state: CommandState, fact: Fact) -> CommandState:
    """The state after a fact; the same state when the fact changes nothing."""
    return TRANSITIONS.get((state, fact), state)


_ACKS = {AckState.RECEIVED: _F.RECEIVED, AckState.STARTED: _F.STARTED, AckState.REJECTED: _F.REJECTED}


def fact_of_ack(word: str) -> Fact | None:
    """None for a word this version does not know."""
    return _ACKS[AckState(word)] if word in set(AckState) else None


def judge_result(row: CommandRow | None, result: ResultState) -> tuple[Verdict, CommandState | None]:
    """Verdict on a result and the state the row goes to (None: the row stays).

    A result for an ended row is a duplicate when it says the same, else a conflict that goes to the anomalies.
    """
    if row is None:
        return Verdict.UNKNOWN_COMMAND, None
    if row.state in ENDED:
        same = row.state.value == result.value or result is ResultState.UNKNOWN
        return (Verdict.DUPLICATE if same else Verdict.CONFLICT), None
    if row.state is _S.UNCONFIRMED and result is ResultState.UNKNOWN:
        return Verdict.ACCEPTED, None
    return Verdict.ACCEPTED, advance(row.state, Fact(result.value))


def proves_double_execution(row_state: CommandState, result: ResultState) -> bool:
    """True when an ended row and a later, different result cannot both be true of one execution.

    A late result for ``unknown`` is news that came too late, not a contradiction.
    """
    return row_state in ENDED and row_state is not _S.UNKNOWN and result.value not in {row_state.value, "unknown"}
