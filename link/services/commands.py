"""Verbs a cluster is owed: sent under a contiguous seq, cancelled, followed to their end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from agent.wire import limits
from agent.wire.commands import Delivery, Kind
from link.protocol.commands import CommandState
from link.services.sql import execute, lock_cluster, query
from link.wake import wake_on_commit
from runai_cp.lib.errors import Invalid, TooMany
from runai_cp.lib.models import uuid7


@dataclass(frozen=True, slots=True)
class CommandStatus:
    state: CommandState
    code: str
    output: str
    effects: list[dict[str, Any]]

    @property
    def ended(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled", "expired", "unknown"}


@transaction.atomic
def send_command(
    *,
    cluster_id: UUID,
    kind: str,
    body: dict[str, Any],
    delivery: str = "at_least_once",
    start_within_s: int = 120,
    deadline_s: int = 60,
    operation_id: UUID | None = None,
    object_key: str = "",
) -> UUID:
    """Owe a cluster a verb; returns the command's id, which names everything it makes.

    Commands with one ``object_key`` run strictly in order. Raises ``Invalid`` for an unknown kind or delivery or a
    body above 64 KiB, ``TooMany`` when the cluster or tenant has too many open commands.
    """
    text = _check(kind, body, delivery, start_within_s)
    cluster = lock_cluster(cluster_id)
    _check_room(cluster_id, cluster.schema_name)
    command_id, seq = uuid7(), int(cluster.last_seq) + 1
    execute("UPDATE public.link_cluster SET last_seq = %s WHERE id = %s", [seq, cluster_id])
    execute(
        "INSERT INTO public.link_command (id, cluster_id, schema_name, seq, kind, v, delivery, object_key, body, "
        "start_within_ms, deadline_ms, not_after, state, cancel, code, output, effects, elapsed_ms, late, "
        "operation_id, created_at) VALUES (%s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, "
        "now() + make_interval(secs => %s), 'owed', false, '', '', '[]', 0, false, %s, now())",
        [
            command_id,
            cluster_id,
            cluster.schema_name,
            seq,
            kind,
            delivery,
            object_key or default_object_key(kind, body),
            text,
            start_within_s * 1000,
            deadline_s * 1000,
            start_within_s,
            operation_id,
        ],
    )
    wake_on_commit(cluster_id)
    return command_id


@transaction.atomic
def cancel_command(*, command_id: UUID) -> None:
    """Ask that a command is not run. What has started may still end ``succeeded``: the truth wins."""
    rows = query("SELECT cluster_id FROM public.link_command WHERE id = %s AND ended_at IS NULL", [command_id])
    if not rows:
        return
    execute(
        "UPDATE public.link_command SET cancel = true, "
        "state = CASE WHEN state = 'owed' THEN 'cancelled' ELSE state END, "
        "code = CASE WHEN state = 'owed' THEN 'cancelled' ELSE code END, "
        "ended_at = CASE WHEN state = 'owed' THEN now() ELSE NULL END WHERE id = %s AND ended_at IS NULL",
        [command_id],
    )
    wake_on_commit(rows[0].cluster_id)


def command_status(*, command_ids: Iterable[UUID], cluster_ids: Iterable[UUID]) -> dict[UUID, CommandStatus]:
    """Status by id; ``cluster_ids`` are the clusters the asker may see, others' commands are left out."""
    rows = query(
        "SELECT id, state, code, output, effects FROM public.link_command WHERE id = ANY(%s) AND cluster_id = ANY(%s)",
        [list(command_ids), list(cluster_ids)],
    )
    return {
        row.id: CommandStatus(CommandState(row.state), row.code, row.output, _loads(row.effects) or []) for row in rows
    }


def default_object_key(kind: str, body: dict[str, Any]) -> str:
    """The object a verb acts on: commands on one object keep their order."""
    if "stream_id" in body or "streamId" in body:
        return f"log/{body.get('stream_id') or body.get('streamId')}"
    return f"{kind.split('.')[0]}/{body.get('namespace', '')}/{body.get('name', '')}"


def _check(kind: str, body: dict[str, Any], delivery: str, start_within_s: int) -> str:
    wrong: dict[str, str] = {}
    if kind not in set(Kind):
        wrong["kind"] = f"{kind!r} given, allowed are {', '.join(Kind)}"
    if delivery not in set(Delivery):
        wrong["delivery"] = f"{delivery!r} given, allowed are {', '.join(Delivery)}"
    if not 1 <= start_within_s <= 86_400:
        wrong["start_within_s"] = f"{start_within_s} given, allowed are 1 to 86400"
    text = json.dumps(body, separators=(",", ":"), sort_keys=True)
    if len(text) > limits.MAX_INLINE:
        wrong["body"] = f"{len(text)} bytes given, at most {limits.MAX_INLINE} are allowed"
    if wrong:
        raise Invalid.of(wrong)
    return text


def _check_room(cluster_id: UUID, schema_name: str) -> None:
    row = query(
        "SELECT (SELECT count(*) FROM public.link_command WHERE cluster_id = %s AND ended_at IS NULL) AS mine, "
        "(SELECT count(*) FROM (SELECT 1 FROM public.link_command WHERE schema_name = %s AND ended_at IS NULL "
        "LIMIT %s) AS open) AS ours",
        [cluster_id, schema_name, limits.MAX_OPEN_PER_TENANT],
    )[0]
    if row.mine >= limits.MAX_OPEN_PER_CLUSTER or row.ours >= limits.MAX_OPEN_PER_TENANT:
        raise TooMany("too many actions wait for this cluster; is it connected?")


def _loads(value: Any) -> Any:
    return json.loads(value) if isinstance(value, (str, bytes)) else value
