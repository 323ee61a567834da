"""Check and shorten the audit chain. The database builds it (migration 0003); nothing here can change an entry.

Each entry's hash covers its content, its number and the hash of the entry before it: to change or remove one, all later
ones would have to be rewritten. Keep a printed head (number and hash) elsewhere and even that shows.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max

from access.models import AuditAnchor, AuditEntry


@dataclass(frozen=True, slots=True)
class ChainReport:
    """``broken_at`` is the number of the first entry that does not fit, None for a whole chain."""

    entries: int
    first_seq: int
    last_seq: int
    last_hash: str
    broken_at: int | None

    @property
    def whole(self) -> bool:
        return self.broken_at is None


_BROKEN = """
WITH anchor AS (SELECT coalesce(max(seq), 0) AS seq FROM access_auditanchor),
start AS (SELECT anchor.seq, coalesce((SELECT hash FROM access_auditanchor WHERE seq = anchor.seq), '') AS hash FROM anchor),
chain AS (
    SELECT entry AS row, entry.seq, entry.prev_hash, entry.hash,
        coalesce(lag(entry.seq) OVER w, (SELECT seq FROM start)) AS seq_before,
        coalesce(lag(entry.hash) OVER w, (SELECT hash FROM start)) AS hash_before
    FROM access_auditentry AS entry WHERE entry.seq IS NOT NULL WINDOW w AS (ORDER BY entry.seq)
)
SELECT min(seq) FROM chain WHERE seq <> seq_before + 1 OR prev_hash <> hash_before
    OR hash <> access_audit_digest(row, seq, hash_before)
"""  # noqa: E501 (SQL)


def verify_chain() -> ChainReport:
    """Walk the whole chain of the current tenant, in the database."""
    with connection.cursor() as cursor:
        cursor.execute(_BROKEN)
        broken = cursor.fetchone()[0]
    rows = AuditEntry.objects.exclude(seq=None).order_by("seq")
    first, last = rows.first(), rows.last()
    missing = broken is None and last is None and AuditEntry.objects.exists()
    return ChainReport(
        entries=rows.count(),
        first_seq=first.seq or 0 if first else 0,
        last_seq=last.seq or 0 if last else 0,
        last_hash=last.hash if last else "",
        broken_at=0 if missing else broken,
    )


@transaction.atomic
def drop_before(moment: datetime, *, limit: int = 5000) -> int:
    """Drop the oldest entries that are older than the retention, and anchor the chain where it now begins.

    Safe to repeat: anchor and removal commit together. Only a run of oldest numbers goes, so the chain has no holes.
    """
    oldest = AuditEntry.objects.filter(at__gte=moment).exclude(seq=None).order_by("seq").first()
    rows = AuditEntry.objects.exclude(seq=None).filter(at__lt=moment)
    if oldest is not None:
        rows = rows.filter(seq__lt=oldest.seq)
    last = max(rows.order_by("seq").values_list("seq", flat=True)[:limit], default=None)
    if last is None:
        return 0
    head = AuditEntry.objects.get(seq=last)
    if last == AuditEntry.objects.aggregate(last=Max("seq"))["last"]:
        last -= 1  # the newest entry stays: the chain goes on from it
        head = AuditEntry.objects.filter(seq=last).first()  # type: ignore[assignment]
        if head is None:
            return 0
    AuditAnchor.objects.create(seq=last, hash=head.hash)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('runai.audit_drop', 'on', true)")
        cursor.execute("DELETE FROM access_auditentry WHERE seq <= %s", [last])
        dropped = cursor.rowcount
        cursor.execute("SELECT set_config('runai.audit_drop', 'off', true)")
    return int(dropped)
