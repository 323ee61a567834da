"""Which documents the cluster shall hold, which of them still need applying, and what may be removed. Pure.

The applier (``agent.link.applier``) asks ``due`` and tells ``applied`` or ``failed``; nothing is removed before the
last page of a full set, nothing that is not ours, and never a large share at once without a confirmation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from agent.wire import limits
from agent.wire.messages import Applied, Cursor, Desired, DesiredItem, Failure

REMOVE_AT_LEAST = 10
REMOVE_SHARE = 0.2
RETRY_FIRST_MS = 250
RETRY_LAST_MS = 30_000
SWEEP_KEY = "sweep/removals"
"""Stands for the sweep in the list of failures."""


@dataclass(slots=True)
class Work:
    """One key's newest change on its way into the cluster."""

    item: DesiredItem
    attempts: int = 0
    due_at: int = 0


@dataclass(frozen=True, slots=True)
class Removal:
    """What a complete full set lets us remove. ``held_back`` > 0: too many at once, somebody must confirm."""

    keys: tuple[str, ...] = ()
    held_back: int = 0


def plan_removal(owned: Iterable[str], wanted: Iterable[str], *, confirmed: bool, safe_mode: bool) -> Removal:
    """Keys of owned objects that are not wanted. In safe mode (the server was restored) nothing goes."""
    mine = set(owned)
    extra = sorted(mine - set(wanted))
    if safe_mode:
        return Removal(held_back=len(extra))
    if not confirmed and len(extra) > max(REMOVE_AT_LEAST, int(len(mine) * REMOVE_SHARE)):
        return Removal(held_back=len(extra))
    return Removal(keys=tuple(extra))


@dataclass(slots=True)
class Documents:
    """Mutable, without I/O or clock: times come in as monotonic milliseconds."""

    cluster_id: str
    cursor: Cursor = field(default_factory=Cursor)
    _work: dict[str, Work] = field(default_factory=dict)
    _failures: dict[str, Failure] = field(default_factory=dict)
    _full: set[str] = field(default_factory=set)
    _busy: set[str] = field(default_factory=set)
    """Keys that are being applied now: a newer revision waits for the end of the older one."""
    foreign: int = 0
    """Documents of another cluster that were refused."""
    sweep_wanted: frozenset[str] | None = None
    """Set by the last page of a full set: the keys that shall stay. The applier sweeps and sets it back."""
    sweep_confirmed: bool = False

    _reported: int = 0

    def take(self, desired: Desired) -> None:
        """Note a delta or a page of a full set, and move the cursor. Repeating an answer changes nothing."""
        seq = self.cursor.command_seq
        if not desired.full:
            if desired.since != self.cursor.desired_rev or self.cursor.full_to:
                return  # an answer to an older question
            for item in desired.items:
                self._note(item)
                if self.sweep_wanted is not None and item.op == "put":
                    self.sweep_wanted |= {item.key}
            self.cursor = Cursor(seq, desired.to)
            return
        if desired.to != self.cursor.full_to:
            self._full = set()
        for item in desired.items:
            self._note(item)
        self._full |= {item.key for item in desired.items}
        if desired.complete:
            self.sweep_wanted, self._full = frozenset(self._full), set()
            self.sweep_confirmed = desired.confirm_removals
            self.cursor = Cursor(seq, desired.to)
        else:
            last = desired.items[-1].key if desired.items else self.cursor.full_after
            self.cursor = Cursor(seq, self.cursor.desired_rev, desired.to, last)

    def restart(self) -> None:
        """Ask for a full set again."""
        self._full = set()
        self.cursor = Cursor(self.cursor.command_seq, 0)

    def _note(self, item: DesiredItem) -> None:
        if item.cluster_id != self.cluster_id:
            self.foreign += 1
            self._failures[item.key] = Failure(item.key, item.rev, "wrong_cluster")
            return
        known = self._work.get(item.key)
        if known is not None and known.item.rev >= item.rev:
            return
        self._work[item.key] = Work(item)

    def due(self, now: int, limit: int) -> list[DesiredItem]:
        """Changes to apply now, oldest rev first; one of a key at a time, until ``applied`` or ``failed``."""
        ready = [work for key, work in self._work.items() if work.due_at <= now and key not in self._busy]
        ready.sort(key=lambda work: work.item.rev)
        self._busy.update(work.item.key for work in ready[:limit])
        return [work.item for work in ready[:limit]]

    def next_due_in(self, now: int) -> int | None:
        """Milliseconds until the next change is due; None when nothing waits."""
        waits = [work.due_at - now for key, work in self._work.items() if key not in self._busy]
        return max(0, min(waits)) if waits else None

    def applied(self, item: DesiredItem) -> None:
        """The cluster holds this revision (or the object is gone)."""
        self._busy.discard(item.key)
        work = self._work.get(item.key)
        if work is not None and work.item.rev == item.rev:
            del self._work[item.key]
            self._failures.pop(item.key, None)

    def failed(self, item: DesiredItem, code: str, message: str, now: int, *, permanent: bool = False) -> None:
        """It could not be applied: tried again with growing pauses, or given up until it changes."""
        self._busy.discard(item.key)
        work = self._work.get(item.key)
        if work is None or work.item.rev != item.rev:
            return
        self._failures[item.key] = Failure(item.key, item.rev, code, message[:500])
        if permanent:
            del self._work[item.key]
            return
        work.attempts += 1
        work.due_at = now + min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** min(work.attempts - 1, 10))

    def swept(self, held_back: int) -> None:
        """The sweep is done; what was held back waits for somebody's confirmation and is shown as a failure."""
        self.sweep_wanted = None
        self._failures.pop(SWEEP_KEY, None)
        if held_back:
            text = f"{held_back} objects would be removed at once; this needs a confirmation"
            self._failures[SWEEP_KEY] = Failure(SWEEP_KEY, self.cursor.desired_rev, "removals_held_back", text)

    @property
    def held_back(self) -> bool:
        """Removals wait for somebody's confirmation."""
        return SWEEP_KEY in self._failures

    def report(self) -> Applied:
        """At or below ``desired_rev`` everything is applied or listed as failed."""
        waiting = [work.item.rev - 1 for key, work in self._work.items() if key not in self._failures]
        upto = min([self.cursor.desired_rev, *waiting])
        if self.sweep_wanted is not None:
            upto = min(upto, self._reported)
        self._reported = upto
        failures = sorted(self._failures.values(), key=lambda item: item.rev)
        return Applied(upto, tuple(failures[: limits.MAX_FAILURES]))

    def with_seq(self, command_seq: int) -> Cursor:
        """The cursor of the next poll."""
        return replace(self.cursor, command_seq=command_seq)
