"""Which state reports may be taken: cursors without gaps, snapshots that sweep only when complete. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent.wire.messages import Digest, SnapshotPage, StateItem


class Take(Enum):
    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"


def judge_delta(committed: int, base: int, items: Sequence[StateItem]) -> Take:
    """APPLY only what follows the committed cursor without a gap; what is all known already is a DUPLICATE."""
    last = items[-1].seq if items else base
    if base == committed and all(item.seq == base + 1 + index for index, item in enumerate(items)):
        return Take.APPLY
    if base < committed and last <= committed:
        return Take.DUPLICATE
    return Take.GAP


@dataclass(frozen=True, slots=True)
class SnapshotCursor:
    """The snapshot that is coming in. ``page`` is the last one taken (-1: none); ``done`` the last complete one."""

    id: str = ""
    page: int = -1
    done: str = ""


def judge_page(committed: int, cursor: SnapshotCursor, page: SnapshotPage) -> Take:
    """Pages come in order, on top of one committed cursor. A replay of a finished snapshot changes nothing."""
    if page.snapshot_id == cursor.done:
        return Take.DUPLICATE
    if page.base != committed:
        return Take.GAP
    if page.page == 0 and page.snapshot_id != cursor.id:
        return Take.APPLY
    if page.snapshot_id != cursor.id:
        return Take.GAP
    if page.page == cursor.page + 1:
        return Take.APPLY
    return Take.DUPLICATE if page.page <= cursor.page else Take.GAP


def next_cursor(cursor: SnapshotCursor, page: SnapshotPage) -> SnapshotCursor:
    """The cursor after an applied page."""
    if page.complete:
        return SnapshotCursor(done=page.snapshot_id)
    return SnapshotCursor(page.snapshot_id, page.page, cursor.done)


@dataclass(frozen=True, slots=True)
class DigestWatch:
    """How many comparisons in a row differed. Two are needed, since a report may be under way."""

    misses: int = 0
    compared_at: int = 0


COMPARE_EVERY_MS = 600_000


def due(watch: DigestWatch, digest: Digest, committed: int, now: int) -> bool:
    """Compare only at rest (the agent has reported all it knows), and every ten minutes, or when in doubt."""
    if digest.report_seq != committed:
        return False
    return bool(watch.misses) or bool(digest.buckets) or now - watch.compared_at >= COMPARE_EVERY_MS
