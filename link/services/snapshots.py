"""What a cluster's scheduler saw last, for people who ask why it decided as it did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from link.services.sql import query


@dataclass(frozen=True)
class SchedulerView:
    """``data`` is a gzip file for ``python -m agent.scheduler.replay``; ``taken_at`` when it arrived."""

    data: bytes
    taken_at: datetime


def scheduler_view(cluster_id: UUID) -> SchedulerView | None:
    """The last one of the cluster; None where none has come yet."""
    rows = query("SELECT data, taken_at FROM public.link_schedulersnapshot WHERE cluster_id = %s", [cluster_id])
    return SchedulerView(bytes(rows[0].data), rows[0].taken_at) if rows else None
