"""What the sweeper and the pruner do: the guarantee behind every hint that may be lost."""

from __future__ import annotations

from django.db import transaction

from agent.wire.commands import Delivery
from link.outside import topic_tasks
from link.protocol.commands import ENDED, CommandRow, CommandState
from link.protocol.exchange import overdue
from link.services.logs import close_log
from link.services.sql import execute, query
from link.wake import wake_now
from runai_cp.lib.nudge import nudge

BATCH = 500
UNREAD_S = 60
KEEP_COMMANDS_DAYS = 7
KEEP_LOGS_HOURS = 1
KEEP_TOMBSTONES_DAYS = 14


def wake_owed() -> int:
    """Publish a wake-up for clusters that are owed something no poll has taken; returns how many."""
    rows = query(
        "SELECT c.id FROM public.link_cluster c JOIN public.link_agentsession s ON s.cluster_id = c.id "
        "WHERE c.state = 'enrolled' AND (c.last_rev > s.applied_rev OR EXISTS (SELECT 1 FROM public.link_command k "
        "WHERE k.cluster_id = c.id AND k.ended_at IS NULL AND k.state = 'owed')) ORDER BY c.id LIMIT %s",
        [BATCH],
    )
    wake_now([row.id for row in rows])
    return len(rows)


def nudge_topics() -> int:
    """Nudge the task of every (tenant, topic) that has rows older than a moment; returns how many."""
    rows = query(
        "SELECT schema_name, topic FROM public.link_inbox WHERE created_at < now() - interval '1 second' "
        "GROUP BY 1, 2 LIMIT %s",
        [BATCH],
    )
    tasks = topic_tasks()
    for row in rows:
        if row.topic in tasks:
            nudge(tasks[row.topic], row.schema_name)
    return len(rows)


@transaction.atomic
def expire_commands() -> int:
    """Move overdue commands on, as ``link.protocol`` decides; returns how many changed."""
    rows = query(
        "SELECT id, seq, state, delivery, cancel, (extract(epoch FROM not_after) * 1000)::bigint AS not_after, "
        "(extract(epoch FROM lease_until) * 1000)::bigint AS until, (extract(epoch FROM now()) * 1000)::bigint AS now "
        "FROM public.link_command WHERE ended_at IS NULL AND (lease_until <= now() OR (state = 'owed' AND "
        "(cancel OR not_after <= now()))) ORDER BY cluster_id, seq LIMIT %s FOR UPDATE SKIP LOCKED",
        [BATCH],
    )
    changed = 0
    for row in rows:
        before = CommandRow(
            str(row.id), row.seq, CommandState(row.state), Delivery(row.delivery), row.not_after, row.until, row.cancel
        )
        after = overdue(before, row.now)
        if after != before:
            changed += 1
            _write(after)
    return changed


def _write(row: CommandRow) -> None:
    execute(
        "UPDATE public.link_command SET state = %s, code = %s, lease_until = to_timestamp(%s / 1000.0), "
        "ended_at = CASE WHEN %s THEN now() END WHERE id = %s",
        [row.state.value, row.code, row.until, row.state in ENDED, row.id],
    )


def close_unread_logs() -> int:
    """Close streams nobody has read for a minute."""
    rows = query(
        "SELECT id FROM public.link_logstream WHERE NOT closed AND NOT ended "
        "AND read_at < now() - make_interval(secs => %s) LIMIT 50",
        [UNREAD_S],
    )
    for row in rows:
        close_log(stream_id=row.id)
    return len(rows)


def prune_commands() -> int:
    return execute(
        "DELETE FROM public.link_command WHERE id IN (SELECT id FROM public.link_command "
        "WHERE ended_at < now() - make_interval(days => %s) ORDER BY ended_at LIMIT 10000)",
        [KEEP_COMMANDS_DAYS],
    )


@transaction.atomic
def prune_logs() -> int:
    rows = query(
        "SELECT id FROM public.link_logstream WHERE (ended OR closed) AND read_at < now() - make_interval(hours => %s) "
        "LIMIT 500",
        [KEEP_LOGS_HOURS],
    )
    ids = [row.id for row in rows]
    execute("DELETE FROM public.link_logchunk WHERE stream_id = ANY(%s)", [ids])
    return execute("DELETE FROM public.link_logstream WHERE id = ANY(%s)", [ids])


@transaction.atomic
def prune_documents() -> int:
    """Drop tombstones after 14 days; an agent older than the newest dropped one will be given a full set."""
    rows = query(
        "DELETE FROM public.link_desired WHERE id IN (SELECT id FROM public.link_desired "
        "WHERE deleted_at < now() - make_interval(days => %s) LIMIT 5000) RETURNING cluster_id, rev",
        [KEEP_TOMBSTONES_DAYS],
    )
    newest: dict[object, int] = {}
    for row in rows:
        newest[row.cluster_id] = max(newest.get(row.cluster_id, 0), int(row.rev))
    for cluster_id in sorted(newest, key=str):
        execute(
            "UPDATE public.link_cluster SET pruned_rev = GREATEST(pruned_rev, %s) WHERE id = %s",
            [newest[cluster_id], cluster_id],
        )
    return len(rows)


def prune_rest() -> None:
    execute("DELETE FROM public.link_usedassertion WHERE expires_at < now()")
    execute("DELETE FROM public.link_enrolment WHERE expires_at < now() - interval '7 days'")
    execute(
        "DELETE FROM public.link_blob b WHERE created_at < now() - interval '1 hour' AND NOT EXISTS (SELECT 1 FROM "
        "public.link_desired d WHERE d.cluster_id = b.cluster_id AND d.body_ref = 'sha256:' || b.sha256)"
    )
