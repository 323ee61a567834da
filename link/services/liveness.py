"""When was a cluster's agent last heard, and does it count as connected now: by the server's clock alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agent.wire import limits
from link.services.sql import query


@dataclass(frozen=True, slots=True)
class Liveness:
    last_seen: datetime | None
    """None: never."""
    connected: bool
    agent_version: str = ""
    enrolled_at: datetime | None = None
    state: str = "waiting"
    """``waiting``, ``enrolled``, ``quarantined`` or ``removed``."""


def liveness(cluster_ids: Iterable[UUID]) -> dict[UUID, Liveness]:
    """By cluster, for those that have a mailbox. One query.

    Connected: heard within five poll holds, and if its connection broke it was back within ten seconds.
    """
    rows = query(
        "SELECT c.id, c.state, c.agent_version, c.enrolled_at, l.last_seen, "
        "COALESCE(l.last_seen > now() - make_interval(secs => %s) AND "
        "(l.dropped_at IS NULL OR l.dropped_at > now() - make_interval(secs => %s)), false) AS connected "
        "FROM public.link_cluster c LEFT JOIN public.link_liveness l ON l.cluster_id = c.id WHERE c.id = ANY(%s)",
        [limits.OFFLINE_AFTER_MS / 1000, limits.DROPPED_AFTER_MS / 1000, list(cluster_ids)],
    )
    return {
        row.id: Liveness(
            row.last_seen,
            bool(row.connected) and row.state == "enrolled",
            row.agent_version,
            row.enrolled_at,
            row.state,
        )
        for row in rows
    }
