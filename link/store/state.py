"""State reports into the tables: one merge a batch, changed objects to the inbox, sweeps only after the last page."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg.types.json import Jsonb

from agent.wire.digest import StateDigest, bucket_of
from agent.wire.messages import SnapshotPage, StateAnswer, StateDelta, StateItem
from agent.wire.reports import STATE_KINDS
from link.protocol.state import Take, judge_delta, judge_page, next_cursor
from link.refusal import Refused
from link.store.exchange import Caller
from link.store.mailbox import Mailbox, check_epoch, check_open, read_mailbox
from link.store.pool import Conn, Pool

_MERGE = """
WITH v AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(uids)s::text[], %(ops)s::text[], %(topics)s::text[],
        %(buckets)s::smallint[], %(hashes)s::text[], %(seqs)s::bigint[], %(bodies)s::jsonb[])
        AS t(kind, uid, op, topic, bucket, hash, seq, body)
), changed AS (
    SELECT v.* FROM v LEFT JOIN public.link_state s ON s.cluster_id = %(cluster)s AND s.kind = v.kind AND s.uid = v.uid
    WHERE v.op = 'upsert' AND s.hash IS DISTINCT FROM v.hash
), put AS (
    INSERT INTO public.link_state (cluster_id, kind, uid, bucket, hash, report_seq, snapshot_id)
    SELECT %(cluster)s, kind, uid, bucket, hash, seq, %(snapshot)s FROM v WHERE op = 'upsert'
    ON CONFLICT (cluster_id, kind, uid) DO UPDATE SET hash = EXCLUDED.hash, report_seq = EXCLUDED.report_seq,
        snapshot_id = EXCLUDED.snapshot_id
    WHERE link_state.hash <> EXCLUDED.hash OR link_state.snapshot_id <> EXCLUDED.snapshot_id
), gone AS (
    DELETE FROM public.link_state s USING v
    WHERE s.cluster_id = %(cluster)s AND s.kind = v.kind AND s.uid = v.uid AND v.op = 'delete'
    RETURNING v.kind, v.uid, v.topic, v.seq
)
INSERT INTO public.link_inbox (schema_name, topic, cluster_id, kind, uid, op, body, report_seq, created_at)
SELECT %(schema)s, topic, %(cluster)s, kind, uid, op, body, seq, now() FROM (
    SELECT topic, kind, uid, 'upsert' AS op, body, seq FROM changed
    UNION ALL SELECT topic, kind, uid, 'delete', NULL, seq FROM gone
) AS news ORDER BY seq, kind, uid
RETURNING topic
"""
_SWEEP = """
WITH gone AS (
    DELETE FROM public.link_state WHERE cluster_id = %(cluster)s AND snapshot_id <> %(snapshot)s
        AND (%(all)s OR bucket = ANY(%(buckets)s)) RETURNING kind, uid
)
INSERT INTO public.link_inbox (schema_name, topic, cluster_id, kind, uid, op, body, report_seq, created_at)
SELECT %(schema)s, t.topic, %(cluster)s, gone.kind, gone.uid, 'delete', NULL, %(seq)s, now()
FROM gone JOIN unnest(%(kinds)s::text[], %(topics)s::text[]) AS t(kind, topic) ON t.kind = gone.kind
RETURNING topic
"""


async def take_delta(pool: Pool, caller: Caller, delta: StateDelta) -> tuple[StateAnswer, set[str]]:
    """The cursor afterwards and the topics that got rows. Raises ``Refused`` 409 ``gap`` with what is committed."""
    _check_items(delta.items)
    async with pool.connection() as conn, conn.transaction():
        box = await _enter(conn, caller, delta.epoch)
        take = judge_delta(box.report_seq, delta.base, delta.items)
        if take is Take.GAP:
            raise Refused(409, "gap", "resend from what is committed", committed=box.report_seq)
        if take is Take.DUPLICATE or not delta.items:
            return StateAnswer(box.report_seq), set()
        topics = await _merge(conn, box, delta.items, "")
        committed = delta.items[-1].seq
        await conn.execute(
            "UPDATE public.link_agentsession SET report_seq = %s WHERE cluster_id = %s", [committed, box.cluster_id]
        )
    return StateAnswer(committed), topics


async def take_page(pool: Pool, caller: Caller, page: SnapshotPage) -> tuple[StateAnswer, set[str]]:
    """Mark what the page holds; the complete last page sweeps what no page held (of its buckets)."""
    _check_items(page.items)
    async with pool.connection() as conn, conn.transaction():
        box = await _enter(conn, caller, page.epoch)
        take = judge_page(box.report_seq, box.snapshot, page)
        if take is Take.GAP:
            raise Refused(409, "gap", "begin the snapshot again", committed=box.report_seq)
        if take is Take.DUPLICATE:
            return StateAnswer(box.report_seq, page.page), set()
        topics = await _merge(conn, box, page.items, page.snapshot_id)
        committed = box.report_seq
        if page.complete:
            committed = page.base + 1
            topics |= await _sweep(conn, box, page, committed)
        cursor = next_cursor(box.snapshot, page)
        await conn.execute(
            "UPDATE public.link_agentsession SET report_seq = %s, snapshot_id = %s, snapshot_page = %s, "
            "snapshot_done = %s WHERE cluster_id = %s",
            [committed, cursor.id, cursor.page, cursor.done, box.cluster_id],
        )
    return StateAnswer(committed, page.page), topics


async def digest_of(pool: Pool, cluster_id: UUID) -> StateDigest:
    """The server's side of the comparison: one index scan."""
    async with pool.connection() as conn:
        found = await conn.execute("SELECT kind, uid, hash FROM public.link_state WHERE cluster_id = %s", [cluster_id])
        return StateDigest.of((row.kind, row.uid, row.hash) for row in await found.fetchall())


async def _enter(conn: Conn, caller: Caller, epoch: int) -> Mailbox:
    box = await read_mailbox(conn, caller.cluster_id, lock=True)
    check_open(box, caller.schema_name, caller.key_version)
    check_epoch(box, epoch)
    return box


async def _merge(conn: Conn, box: Mailbox, items: Sequence[StateItem], snapshot: str) -> set[str]:
    # The newest of an object wins within a batch; kinds this version does not know are left out.
    latest = {(item.kind, item.uid): item for item in items if item.kind in STATE_KINDS}
    rows = list(latest.values())
    params = {
        "cluster": box.cluster_id,
        "schema": box.schema_name,
        "snapshot": snapshot,
        "kinds": [item.kind for item in rows],
        "uids": [item.uid for item in rows],
        "ops": [item.op for item in rows],
        "topics": [STATE_KINDS[item.kind] for item in rows],
        "buckets": [bucket_of(item.uid) for item in rows],
        "hashes": [item.hash for item in rows],
        "seqs": [item.seq for item in rows],
        "bodies": [None if item.obj is None else Jsonb(item.obj) for item in rows],
    }
    return {row.topic for row in await (await conn.execute(_MERGE, params)).fetchall()}


async def _sweep(conn: Conn, box: Mailbox, page: SnapshotPage, seq: int) -> set[str]:
    params = {
        "cluster": box.cluster_id,
        "schema": box.schema_name,
        "snapshot": page.snapshot_id,
        "all": not page.buckets,
        "buckets": list(page.buckets),
        "seq": seq,
        "kinds": list(STATE_KINDS),
        "topics": list(STATE_KINDS.values()),
    }
    return {row.topic for row in await (await conn.execute(_SWEEP, params)).fetchall()}


def _check_items(items: Sequence[StateItem]) -> None:
    for index, item in enumerate(items):
        where = f"items[{index}]"
        if item.op not in ("upsert", "delete"):
            raise _wrong(f"{where}.op: {item.op[:20]!r} given, allowed are upsert and delete")
        if not item.uid or len(item.uid) > 100:
            raise _wrong(f"{where}.uid: 1 to 100 characters are allowed")
        if item.op == "upsert" and (not isinstance(item.obj, dict) or not item.hash):
            raise _wrong(f"{where}: an upsert needs obj and hash")


def _wrong(text: str) -> Refused:
    return Refused(422, "bad_message", text, permanent=True)
