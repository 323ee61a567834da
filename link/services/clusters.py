"""Mailboxes: made with a cluster, enrolled with a one-time token, closed when the cluster is removed."""

from __future__ import annotations

import secrets
import string
from hashlib import sha256
from uuid import UUID

from django.db import transaction

from agent.wire.tokens import EnrolmentToken
from link.services.sql import execute, lock_cluster, query
from link.wake import wake_on_commit
from runai_cp.lib.errors import Conflict, Invalid, NotFound

_ALPHABET = string.ascii_letters + string.digits
MAX_TTL_S = 24 * 3600


@transaction.atomic
def register_cluster(*, cluster_id: UUID, schema_name: str, name: str) -> None:
    """Make the mailbox of a new cluster. Safe to repeat. Raises ``Conflict`` when the id is another tenant's."""
    execute("INSERT INTO public.link_server (id, generation) VALUES (1, %s) ON CONFLICT DO NOTHING", [_random(16)])
    execute(
        "INSERT INTO public.link_cluster (id, schema_name, name, state, last_seq, last_rev, pruned_rev, kube_uid, "
        "public_key, key_id, old_public_key, old_key_id, rotation_id, key_version, agent_version, "
        "removals_confirmed_rev, created_at) "
        "VALUES (%s, %s, %s, 'waiting', 0, 0, 0, '', '', '', '', '', '', 0, '', 0, now()) ON CONFLICT (id) DO NOTHING",
        [cluster_id, schema_name, name],
    )
    execute(
        "INSERT INTO public.link_agentsession (cluster_id, epoch, instance_id, session, session_log, poll_seq, "
        "applied_rev, failures_hash, report_seq, snapshot_id, snapshot_page, snapshot_done) "
        "VALUES (%s, 0, '', '', '[]', 0, 0, '', 0, '', -1, '') ON CONFLICT (cluster_id) DO NOTHING",
        [cluster_id],
    )
    owner = query("SELECT schema_name FROM public.link_cluster WHERE id = %s", [cluster_id])[0].schema_name
    if owner != schema_name:
        raise Conflict(f"cluster {cluster_id} exists already")


@transaction.atomic
def rename_cluster(*, cluster_id: UUID, name: str) -> None:
    execute("UPDATE public.link_cluster SET name = %s WHERE id = %s", [name, cluster_id])


@transaction.atomic
def remove_cluster(*, cluster_id: UUID) -> None:
    """Close the mailbox: the agent is told 410 and keeps all workloads; open commands end; nothing is deleted there.

    Safe to repeat; the id stays reserved.
    """
    execute(
        "UPDATE public.link_cluster SET state = 'removed', key_version = key_version + 1 WHERE id = %s", [cluster_id]
    )
    execute(
        "UPDATE public.link_command SET state = CASE WHEN state = 'owed' THEN 'cancelled' ELSE 'unknown' END, "
        "code = 'cluster_removed', ended_at = now(), lease_until = NULL WHERE cluster_id = %s AND ended_at IS NULL",
        [cluster_id],
    )
    for table in ("link_desired", "link_state", "link_enrolment", "link_blob", "link_schedulersnapshot"):
        execute(f"DELETE FROM public.{table} WHERE cluster_id = %s", [cluster_id])  # noqa: S608 (names above)
    wake_on_commit(cluster_id)


@transaction.atomic
def mint_enrolment(*, cluster_id: UUID, ttl_s: int = 3600) -> str:
    """A one-time token for this cluster, returned once: only its hash is kept. An older unused one dies.

    Raises ``Invalid`` for a time to live outside 60 s to a day, ``NotFound`` for an unknown cluster.
    """
    if not 60 <= ttl_s <= MAX_TTL_S:
        raise Invalid.of({"ttl_s": f"{ttl_s} given, allowed are 60 to {MAX_TTL_S} seconds"})
    lock_cluster(cluster_id)
    token = EnrolmentToken(_random(12), secrets.token_urlsafe(32))
    execute(
        "UPDATE public.link_enrolment SET expires_at = now() "
        "WHERE cluster_id = %s AND used_at IS NULL AND expires_at > now()",
        [cluster_id],
    )
    execute(
        "INSERT INTO public.link_enrolment (id, cluster_id, secret_hash, expires_at, enrolment_id, key_id, created_at) "
        "VALUES (%s, %s, %s, now() + make_interval(secs => %s), '', '', now())",
        [token.id, cluster_id, sha256(token.secret.encode()).digest(), ttl_s],
    )
    return str(token)


@transaction.atomic
def revoke_agent(*, cluster_id: UUID) -> None:
    """Refuse the agent's present credential; it needs a new enrolment. Workloads are not touched."""
    lock_cluster(cluster_id)
    execute(
        "UPDATE public.link_cluster SET key_version = key_version + 1, public_key = '', key_id = '', "
        "old_public_key = '', old_key_id = '', state = 'waiting' WHERE id = %s",
        [cluster_id],
    )
    wake_on_commit(cluster_id)


@transaction.atomic
def confirm_removals(*, cluster_id: UUID) -> None:
    """Allow the agent to remove more than the usual share of objects, for the documents as they are now."""
    row = lock_cluster(cluster_id)
    execute("UPDATE public.link_cluster SET removals_confirmed_rev = %s WHERE id = %s", [row.last_rev, cluster_id])
    wake_on_commit(cluster_id)


def cluster_schema(cluster_id: UUID) -> str:
    """Schema of the tenant that owns a cluster. Raises ``NotFound``."""
    rows = query("SELECT schema_name FROM public.link_cluster WHERE id = %s", [cluster_id])
    if not rows:
        raise NotFound(f"cluster {cluster_id} has no mailbox")
    return str(rows[0].schema_name)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
