"""The durable memory of commands: what is in it has been received, and decides what may be done after a crash.

A value that only pure functions change; ``agent.link.memory`` keeps it in the cluster and writes it before anything is
acted upon. Its write is a compare-and-swap, so a predecessor that lost its place cannot start anything more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.wire.commands import Delivery, ResultState
from agent.wire.messages import Command, Result

KEEP_FINISHED = 200


class Stage(StrEnum):
    RECEIVED = "received"
    STARTED = "started"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Entry:
    command: Command
    stage: Stage = Stage.RECEIVED
    result: Result | None = None
    """Set when DONE; kept until the server has it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command the server has the result of: known for a while, so that it is never run again."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class Journal:
    instance_id: str = ""
    server_generation: str = ""
    command_seq: int = 0
    entries: tuple[Entry, ...] = ()
    finished: tuple[Finished, ...] = ()
    safe_mode: bool = False
    """The server was restored from a backup: nothing is removed until somebody confirms it."""

    def entry(self, command_id: str) -> Entry | None:
        return next((item for item in self.entries if item.command.id == command_id), None)


def take_over(journal: Journal, instance_id: str) -> Journal:
    """A new instance begins: what had been started and may run once only is unknown; the rest waits again."""
    return replace(journal, instance_id=instance_id, entries=tuple(_recovered(item) for item in journal.entries))


def _recovered(entry: Entry) -> Entry:
    if entry.stage is not Stage.STARTED:
        return entry
    if entry.command.delivery == Delivery.AT_MOST_ONCE:
        result = Result(entry.command.id, ResultState.UNKNOWN, code="interrupted")
        return replace(entry, stage=Stage.DONE, result=result)
    return replace(entry, stage=Stage.RECEIVED)


def new_generation(journal: Journal, generation: str) -> Journal:
    """The server was restored: its seq may have gone back. Everything is asked for anew, nothing is run again."""
    return replace(journal, server_generation=generation, command_seq=0, safe_mode=True)


def receive(journal: Journal, commands: Iterable[Command], cluster_id: str, kinds: Collection[str]) -> Journal:
    """Write down what came. Another cluster's order and a kind we do not know are refused: done, without an act."""
    known = {item.command.id for item in journal.entries}
    finished = {item.id: item.state for item in journal.finished}
    seq, added = journal.command_seq, []
    for command in sorted(commands, key=lambda item: item.seq):
        seq = max(seq, command.seq)
        if command.id in known:
            continue
        known.add(command.id)
        added.append(_admitted(command, cluster_id, kinds, finished))
    return replace(journal, command_seq=seq, entries=(*journal.entries, *added))


def _admitted(command: Command, cluster_id: str, kinds: Collection[str], finished: dict[str, str]) -> Entry:
    if command.id in finished:
        return Entry(command, Stage.DONE, Result(command.id, finished[command.id], code="repeated"))
    code = ""
    if command.cluster_id != cluster_id:
        code = "wrong_cluster"
    elif command.kind not in kinds or command.v != 1:
        code = "unsupported_kind"
    if not code:
        return Entry(command)
    return Entry(command, Stage.DONE, Result(command.id, ResultState.FAILED, code=code))


def startable(journal: Journal, max_inflight: int) -> tuple[str, ...]:
    """Ids that may start now: per object strictly by seq, different objects side by side."""
    busy, found, running = set(), [], 0
    for entry in sorted(journal.entries, key=lambda item: item.command.seq):
        if entry.stage is Stage.DONE:
            continue
        key = entry.command.object_key or entry.command.id
        running += entry.stage is Stage.STARTED
        if entry.stage is Stage.RECEIVED and key not in busy:
            found.append(entry.command.id)
        busy.add(key)
    return tuple(found[: max(0, max_inflight - running)])


def start(journal: Journal, ids: Collection[str]) -> Journal:
    return _change(journal, ids, lambda item: replace(item, stage=Stage.STARTED) if _waits(item) else item)


def finish(journal: Journal, result: Result) -> Journal:
    """Note a result. A first result stays: what is done is done."""
    return _change(
        journal,
        (result.id,),
        lambda item: item if item.stage is Stage.DONE else replace(item, stage=Stage.DONE, result=result),
    )


def cancel(journal: Journal, ids: Collection[str]) -> Journal:
    """What has not started will not; what has goes on to its end."""
    return _end_waiting(journal, ids, ResultState.CANCELLED)


def expire(journal: Journal, ids: Collection[str]) -> Journal:
    """The start limit is over for these: those that have not started never will."""
    return _end_waiting(journal, ids, ResultState.EXPIRED)


def _end_waiting(journal: Journal, ids: Collection[str], state: ResultState) -> Journal:
    return _change(
        journal,
        ids,
        lambda item: (
            replace(item, stage=Stage.DONE, result=Result(item.command.id, state, code=state)) if _waits(item) else item
        ),
    )


def forget(journal: Journal, ids: Collection[str]) -> Journal:
    """The server has the results of these."""
    gone = [item for item in journal.entries if item.command.id in ids and item.result is not None]
    if not gone:
        return journal
    dropped = {item.command.id for item in gone}
    old = tuple(item for item in journal.finished if item.id not in dropped)
    new = tuple(Finished(item.command.id, item.result.state) for item in gone if item.result is not None)
    kept = tuple(item for item in journal.entries if item.command.id not in dropped)
    return replace(journal, entries=kept, finished=(*old, *new)[-KEEP_FINISHED:])


def results(journal: Journal) -> tuple[Result, ...]:
    """What the server has not confirmed yet, oldest first."""
    return tuple(item.result for item in journal.entries if item.result is not None)


def open_ids(journal: Journal) -> tuple[str, ...]:
    """Held or running: naming them in a request renews their lease."""
    return tuple(item.command.id for item in journal.entries if item.stage is not Stage.DONE)


def _waits(entry: Entry) -> bool:
    return entry.stage is Stage.RECEIVED


def _change(journal: Journal, ids: Collection[str], make: Callable[[Entry], Entry]) -> Journal:
    wanted = set(ids)
    entries = tuple(make(item) if item.command.id in wanted else item for item in journal.entries)
    return journal if entries == journal.entries else replace(journal, entries=entries)
