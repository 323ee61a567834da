"""A workload's events and changes of phase as one list, newest first."""

from dataclasses import dataclass
from datetime import datetime
from heapq import merge

from workloads.models import Event, PhaseChange, Workload


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One of ``event`` and ``change`` is set."""

    at: datetime
    event: Event | None = None
    change: PhaseChange | None = None


def history(workload: Workload, *, offset: int, limit: int) -> list[HistoryRecord]:
    """At most ``limit`` records from ``offset`` on: two queries, each bounded by ``offset + limit``."""
    top = offset + limit
    changes = PhaseChange.objects.filter(workload=workload).order_by("-at", "-pk")[:top]
    events = Event.objects.of(workload.pk)[:top]
    turned = (HistoryRecord(row.at, change=row) for row in changes)
    happened = (HistoryRecord(row.last_at, event=row) for row in events)
    return list(merge(turned, happened, key=lambda record: record.at, reverse=True))[offset:top]
