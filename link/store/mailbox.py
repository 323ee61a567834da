"""One read that tells everything a request needs of its cluster: identity, counters, session, cursors."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from link.protocol.state import SnapshotCursor
from link.refusal import Refused
from link.store.pool import Conn


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``now`` is the database's clock in ms."""

    cluster_id: UUID
    schema_name: str
    name: str
    state: str
    key_version: int
    last_seq: int
    last_rev: int
    pruned_rev: int
    removals_confirmed_rev: int
    epoch: int
    instance_id: str
    session: str
    session_log: list[list[object]]
    poll_seq: int
    applied_rev: int
    failures_hash: str
    report_seq: int
    snapshot: SnapshotCursor
    generation: str
    tenant_state: str | None
    has_commands: bool
    now: int


_READ = """
SELECT c.id, c.schema_name, c.name, c.state, c.key_version, c.last_seq, c.last_rev, c.pruned_rev,
       c.removals_confirmed_rev, s.epoch, s.instance_id, s.session, s.session_log, s.poll_seq, s.applied_rev,
       s.failures_hash, s.report_seq, s.snapshot_id, s.snapshot_page, s.snapshot_done, t.state AS tenant_state,
       (SELECT generation FROM public.link_server WHERE id = 1) AS generation,
       EXISTS (SELECT 1 FROM public.link_command k WHERE k.cluster_id = c.id AND k.ended_at IS NULL) AS has_commands,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
FROM public.link_cluster c
JOIN public.link_agentsession s ON s.cluster_id = c.id
LEFT JOIN public.tenants_tenant t ON t.schema_name = c.schema_name
WHERE c.id = %s
"""


async def read_mailbox(conn: Conn, cluster_id: UUID, *, lock: bool = False) -> Mailbox:
    """``lock``: hold the session row until the transaction ends. Raises ``Refused`` 410 for an unknown cluster."""
    row = await (await conn.execute(_READ + ("FOR UPDATE OF s" if lock else ""), [cluster_id])).fetchone()
    if row is None:
        raise Refused(410, "decommissioned", "this cluster is not known here", permanent=True)
    return Mailbox(
        cluster_id=row.id,
        schema_name=row.schema_name,
        name=row.name,
        state=row.state,
        key_version=row.key_version,
        last_seq=row.last_seq,
        last_rev=row.last_rev,
        pruned_rev=row.pruned_rev,
        removals_confirmed_rev=row.removals_confirmed_rev,
        epoch=row.epoch,
        instance_id=row.instance_id,
        session=row.session,
        session_log=row.session_log,
        poll_seq=row.poll_seq,
        applied_rev=row.applied_rev,
        failures_hash=row.failures_hash,
        report_seq=row.report_seq,
        snapshot=SnapshotCursor(row.snapshot_id, row.snapshot_page, row.snapshot_done),
        generation=row.generation or "",
        tenant_state=row.tenant_state,
        has_commands=row.has_commands,
        now=row.now,
    )


def check_open(box: Mailbox, schema_name: str, key_version: int) -> None:
    """Raises ``Refused``: 410 for a removed cluster or tenant, 401 ``revoked``, 503 while the tenant is suspended."""
    if box.state == "removed" or box.tenant_state in ("deleting", None):
        raise Refused(410, "decommissioned", "this cluster was removed; its workloads stay", permanent=True)
    if box.schema_name != schema_name or box.key_version != key_version or box.state != "enrolled":
        raise Refused(401, "revoked", "this credential is not valid any more; enrol again")
    if box.tenant_state != "ready":
        raise Refused(503, "suspended", "the tenant is suspended", retry_after_ms=60_000)


def check_epoch(box: Mailbox, epoch: int) -> None:
    """Raises ``Refused`` 409 with the instance that holds the session."""
    if box.epoch != epoch:
        raise Refused(409, "stale_epoch", f"epoch {epoch} given, {box.epoch} is current", instance_id=box.instance_id)
