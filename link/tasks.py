"""Alarm clocks of the post office: each finds its work in the database, in batches, and may run twice or never."""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from uuid import UUID

from celery import shared_task

from link import sweeping
from link.wake import wake_now


@shared_task(name="link.tasks.wake")
def wake(cluster_id: str) -> None:
    """Repeat one wake-up."""
    wake_now([UUID(cluster_id)])


@shared_task(name="link.tasks.sweep")
def sweep() -> None:
    """Every two seconds: repeat what may have been lost: wake-ups and nudges of the rooms that own what came up."""
    sweeping.wake_owed()
    sweeping.nudge_topics()
    sweeping.expire_commands()
    sweeping.close_unread_logs()


@shared_task(name="link.tasks.sweep_expired")
def sweep_expired() -> None:
    """Give up what is overdue: the state machine decides, row by row."""
    sweeping.expire_commands()


@shared_task(name="link.tasks.prune")
def prune() -> None:
    """Delete what nobody needs any more: old results, read logs, tombstones, used assertions, unused blobs."""
    sweeping.prune_commands()
    sweeping.prune_logs()
    sweeping.prune_documents()
    sweeping.prune_rest()
