"""What has changed in the cluster and is not with the server yet: coalesced per object, in batches without gaps. Pure.

One batch is under way at a time and is sent again unchanged until it is confirmed; meanwhile newer changes of an object
replace older ones. When the cursors of both sides cannot be reconciled, a snapshot of everything (or of some buckets)
starts over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.wire import limits
from agent.wire.codec import to_json
from agent.wire.digest import StateDigest, bucket_of, content_hash
from agent.wire.messages import Digest, SnapshotPage, StateDelta, StateItem

Key = tuple[str, str]
PAGE_BYTES = 700_000


@dataclass(frozen=True, slots=True)
class Held:
    """One object's newest report."""

    hash: str
    raw: bytes

    def item(self, key: Key, seq: int) -> StateItem:
        return StateItem(seq, key[0], key[1], "upsert", self.hash, json.loads(self.raw))


@dataclass(slots=True)
class Snapshot:
    """Under way. ``keys`` are still to be sent; ``page`` is the one to send (again) until confirmed."""

    id: str
    buckets: tuple[int, ...]
    keys: Iterator[Key]
    number: int = 0
    page: SnapshotPage | None = None


@dataclass(slots=True)
class Outbox:
    """``committed`` is the server's cursor as far as known."""

    committed: int = 0
    needs_snapshot: bool = True
    wanted_buckets: tuple[int, ...] = ()
    _held: dict[Key, Held] = field(default_factory=dict)
    _pending: dict[Key, None] = field(default_factory=dict)
    _batch: StateDelta | None = None
    _snapshot: Snapshot | None = None
    _digest: StateDigest = field(default_factory=StateDigest)

    def put(self, kind: str, uid: str, report: Any) -> bool:
        """Note the newest report of an object (a dataclass of ``reports``); False when nothing changed."""
        raw = to_json(report)
        key, hash_ = (kind, uid), content_hash(raw)
        old = self._held.get(key)
        if old is not None:
            if old.hash == hash_:
                return False
            self._digest.remove(kind, uid, old.hash)
        self._held[key] = Held(hash_, raw)
        self._digest.add(kind, uid, hash_)
        self._pending[key] = None
        return True

    def drop(self, kind: str, uid: str) -> bool:
        """The object is gone; False when it was not known."""
        old = self._held.pop((kind, uid), None)
        if old is None:
            return False
        self._digest.remove(kind, uid, old.hash)
        self._pending[(kind, uid)] = None
        return True

    def keys(self) -> set[Key]:
        return set(self._held)

    @property
    def waiting(self) -> bool:
        return bool(self._pending or self._batch or self._snapshot or self.needs_snapshot)

    @property
    def backlog(self) -> int:
        return len(self._pending)

    def digest(self, *, buckets: bool = False) -> Digest | None:
        """None while something is under way: only a state at rest can be compared."""
        if self.waiting:
            return None
        found = self._digest.buckets() if buckets else ()
        return Digest(self._digest.count, self._digest.root(), self.committed, found)

    # ---- deltas

    def next_delta(self, epoch: int) -> StateDelta | None:
        """The batch to send now; the same one again until it is confirmed."""
        if self._snapshot is not None or self.needs_snapshot:
            return None
        if self._batch is None and self._pending:
            keys = list(self._pending)[: limits.MAX_BATCH]
            for key in keys:
                del self._pending[key]
            items = tuple(self._item(key, self.committed + 1 + index) for index, key in enumerate(keys))
            self._batch = StateDelta(epoch, self.committed, items)
        if self._batch is not None and self._batch.epoch != epoch:
            self._batch = StateDelta(epoch, self._batch.base, self._batch.items)
        return self._batch

    def _item(self, key: Key, seq: int) -> StateItem:
        held = self._held.get(key)
        return held.item(key, seq) if held is not None else StateItem(seq, key[0], key[1], "delete")

    def delta_confirmed(self, delta: StateDelta, committed: int) -> None:
        if self._batch is None or delta.base != self._batch.base:
            return
        last = delta.items[-1].seq
        self._batch = None
        self.committed = committed
        if committed != last:
            self.start_over()

    def gap(self, committed: int) -> None:
        """The server stands elsewhere. It may have our batch already; anything else needs a snapshot."""
        batch, self.committed = self._batch, committed
        if batch is not None and batch.items[-1].seq == committed:
            self._batch = None
        elif batch is not None and batch.base == committed:
            return
        else:
            self.start_over()

    def give_up(self) -> None:
        """The server will never take this batch (too large, not understood): go on; a snapshot finds the difference."""
        self._batch = None
        self.start_over()

    def resume(self, committed: int) -> None:
        """A new session: go on from what the server has, or start over."""
        if self._snapshot is not None:
            self._snapshot = None
            self.needs_snapshot = True
            self.committed = committed
        elif committed != self.committed:
            self.gap(committed)

    # ---- snapshots

    def start_over(self, buckets: tuple[int, ...] = ()) -> None:
        """Ask for a snapshot: of everything, or of some buckets."""
        self._batch = None
        self._snapshot = None
        self.needs_snapshot = True
        self.wanted_buckets = buckets

    def next_page(self, epoch: int, new_id: str) -> SnapshotPage | None:
        """The page to send now; ``new_id`` names a snapshot that begins. None when none is wanted."""
        if self._snapshot is None:
            if not self.needs_snapshot:
                return None
            wanted = set(self.wanted_buckets)
            keys = [key for key in self._held if not wanted or bucket_of(key[1]) in wanted]
            self._snapshot = Snapshot(new_id, self.wanted_buckets, iter(sorted(keys)))
        snapshot = self._snapshot
        if snapshot.page is None or snapshot.page.epoch != epoch:
            if snapshot.page is not None:  # a newer epoch: pages of the old one count for nothing
                self.start_over(snapshot.buckets)
                return self.next_page(epoch, new_id)
            snapshot.page = self._make_page(snapshot, epoch)
        return snapshot.page

    def _make_page(self, snapshot: Snapshot, epoch: int) -> SnapshotPage:
        items: list[StateItem] = []
        size = 0
        complete = True
        for key in snapshot.keys:
            held = self._held.get(key)
            if held is None:
                continue
            items.append(held.item(key, self.committed + 1))
            size += len(held.raw)
            if len(items) >= limits.MAX_BATCH or size >= PAGE_BYTES:
                complete = False
                break
        return SnapshotPage(
            epoch, snapshot.id, snapshot.number, complete, self.committed, tuple(items), snapshot.buckets
        )

    def page_confirmed(self, page: SnapshotPage, committed: int) -> None:
        snapshot = self._snapshot
        if snapshot is None or snapshot.id != page.snapshot_id or snapshot.number != page.page:
            return
        if page.complete:
            self._snapshot = None
            self.needs_snapshot = False
            self.wanted_buckets = ()
            self.committed = committed
        else:
            snapshot.number += 1
            snapshot.page = None
