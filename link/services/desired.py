"""Documents a cluster shall hold: put, deleted, and how far the agent has come with them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from agent.wire import limits
from link.sealing import has_secrets, replace_secrets, seal_body
from link.services.sql import execute, lock_cluster, query
from link.wake import wake_on_commit
from runai_cp.lib.errors import Conflict, Invalid


@dataclass(frozen=True, slots=True)
class DesiredStatus:
    """``applied``: the agent has this revision in the cluster. ``error``: why it could not apply it (yet)."""

    rev: int
    applied: bool
    error: str = ""


@transaction.atomic
def put_desired(*, cluster_id: UUID, key: str, body: dict[str, Any]) -> int:
    """Owe a cluster a document (a whole manifest); returns its rev. An equal body makes no new rev.

    Values ``{"$secret": "text"}`` are sealed to the agent's key and never stored in clear. Raises ``Conflict`` when
    there is one and no agent has enrolled yet, ``Invalid`` for a bad key or a body above 1 MiB.
    """
    _check_key(key)
    cluster = lock_cluster(cluster_id)
    digest = body_hash(body)
    known = query(
        "SELECT rev, hash, deleted_at FROM public.link_desired WHERE cluster_id = %s AND key = %s", [cluster_id, key]
    )
    if known and known[0].deleted_at is None and known[0].hash == digest:
        return int(known[0].rev)
    stored, ref = _stored(cluster, key, body)
    rev = int(cluster.last_rev) + 1
    execute("UPDATE public.link_cluster SET last_rev = %s WHERE id = %s", [rev, cluster_id])
    execute(
        "INSERT INTO public.link_desired (cluster_id, key, rev, hash, body, body_ref, error_rev, error_code, "
        "error_message) VALUES (%s, %s, %s, %s, %s, %s, 0, '', '') ON CONFLICT (cluster_id, key) DO UPDATE SET "
        "rev = EXCLUDED.rev, hash = EXCLUDED.hash, body = EXCLUDED.body, body_ref = EXCLUDED.body_ref, "
        "deleted_at = NULL, error_rev = 0, error_code = '', error_message = ''",
        [cluster_id, key, rev, digest, stored, ref],
    )
    wake_on_commit(cluster_id)
    return rev


@transaction.atomic
def delete_desired(*, cluster_id: UUID, key: str) -> int:
    """Owe a cluster the removal of a document; returns the rev. Safe to repeat; 0 when it never was there."""
    _check_key(key)
    cluster = lock_cluster(cluster_id)
    known = query(
        "SELECT rev, deleted_at FROM public.link_desired WHERE cluster_id = %s AND key = %s", [cluster_id, key]
    )
    if not known:
        return 0
    if known[0].deleted_at is not None:
        return int(known[0].rev)
    rev = int(cluster.last_rev) + 1
    execute("UPDATE public.link_cluster SET last_rev = %s WHERE id = %s", [rev, cluster_id])
    execute(
        "UPDATE public.link_desired SET rev = %s, hash = '', body = NULL, body_ref = '', deleted_at = now(), "
        "error_rev = 0, error_code = '', error_message = '' WHERE cluster_id = %s AND key = %s",
        [rev, cluster_id, key],
    )
    wake_on_commit(cluster_id)
    return rev


@transaction.atomic
def withdraw_last(*, cluster_id: UUID, kinds: Iterable[str]) -> int:
    """Owe a cluster the removal of all documents of these kinds, once no document of another kind is left.

    Returns how many there were. Safe to repeat.
    """
    rows = query("SELECT key FROM public.link_desired WHERE cluster_id = %s AND deleted_at IS NULL", [cluster_id])
    last = set(kinds)
    if any(row.key.partition("/")[0] not in last for row in rows):
        return 0
    for row in rows:
        delete_desired(cluster_id=cluster_id, key=row.key)
    return len(rows)


def desired_status(*, cluster_id: UUID, keys: Iterable[str]) -> dict[str, DesiredStatus]:
    """Status by key, for the keys that are known. A deleted document is ``applied`` once it is gone there."""
    rows = query(
        "SELECT d.key, d.rev, d.error_rev, d.error_code, d.error_message, s.applied_rev "
        "FROM public.link_desired d JOIN public.link_agentsession s ON s.cluster_id = d.cluster_id "
        "WHERE d.cluster_id = %s AND d.key = ANY(%s)",
        [cluster_id, list(keys)],
    )
    found: dict[str, DesiredStatus] = {}
    for row in rows:
        failed = row.error_rev == row.rev and bool(row.error_code)
        error = (row.error_message or row.error_code) if failed else ""
        found[row.key] = DesiredStatus(int(row.rev), bool(row.applied_rev >= row.rev and not failed), error)
    return found


def desired_over_clusters(*, cluster_ids: Iterable[UUID], keys: Iterable[str]) -> dict[str, list[DesiredStatus]]:
    """Status by key in each of the clusters that owe it, without those whose document was taken back: one query."""
    rows = query(
        "SELECT d.key, d.rev, d.error_rev, d.error_code, d.error_message, s.applied_rev "
        "FROM public.link_desired d JOIN public.link_agentsession s ON s.cluster_id = d.cluster_id "
        "WHERE d.cluster_id = ANY(%s) AND d.key = ANY(%s) AND d.deleted_at IS NULL",
        [list(cluster_ids), list(keys)],
    )
    found: dict[str, list[DesiredStatus]] = {}
    for row in rows:
        failed = row.error_rev == row.rev and bool(row.error_code)
        error = (row.error_message or row.error_code) if failed else ""
        applied = bool(row.applied_rev >= row.rev and not failed)
        found.setdefault(row.key, []).append(DesiredStatus(int(row.rev), applied, error))
    return found


def body_hash(body: dict[str, Any]) -> str:
    """Hash of a body's content; secrets enter it keyed, so that the stored hash gives nothing away."""
    key = settings.SECRET_KEY.encode()
    keyed = replace_secrets(body, lambda text: hmac.new(key, text.encode(), sha256).hexdigest())
    return "sha256:" + sha256(_json(keyed).encode()).hexdigest()[:56]


def _stored(cluster: Any, key: str, body: dict[str, Any]) -> tuple[str | None, str]:
    """(inline JSON, reference): one of them is set. A large body goes to the blobs."""
    if has_secrets(body):
        if not cluster.public_key:
            raise Conflict(f"{key} holds a secret; the cluster must be connected first")
        body = seal_body(body, cluster.public_key, str(cluster.id))
    text = _json(body)
    size = len(text.encode())
    if size > limits.MAX_DOCUMENT:
        raise Invalid.of({"body": f"{size} bytes given, at most {limits.MAX_DOCUMENT} are allowed"})
    if size <= limits.MAX_INLINE:
        return text, ""
    digest = sha256(text.encode()).hexdigest()
    execute(
        "INSERT INTO public.link_blob (cluster_id, sha256, data, created_at) VALUES (%s, %s, %s, now()) "
        "ON CONFLICT (cluster_id, sha256) DO UPDATE SET created_at = now()",
        [cluster.id, digest, text.encode()],
    )
    return None, f"sha256:{digest}"


def caught_up(*, cluster_id: UUID) -> bool:
    """Whether the agent has heard of every document, and holds none any more; true for a cluster without mailbox."""
    rows = query(
        "SELECT s.applied_rev >= c.last_rev AND NOT EXISTS (SELECT 1 FROM public.link_desired d "
        "WHERE d.cluster_id = c.id AND d.deleted_at IS NULL) AS done "
        "FROM public.link_cluster c JOIN public.link_agentsession s ON s.cluster_id = c.id WHERE c.id = %s",
        [cluster_id],
    )
    return not rows or bool(rows[0].done)


def _check_key(key: str) -> None:
    kind, slash, name = key.partition("/")
    if not slash or not kind or not name or len(key) > 400 or "\x00" in key:
        raise Invalid.of({"key": f"{key[:80]!r} given, expected kind/name of at most 400 characters"})


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
