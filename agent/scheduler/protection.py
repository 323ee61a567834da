"""Minimum run times: for how long a workload that started may not be interrupted."""

from agent.scheduler.context import Context
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState
from agent.scheduler.victims import Batch


def preempt_min_runtime(context: Context, victim: JobState) -> int:
    """The first value set on the way from the victim's queue to the root, else the default (ns)."""
    for queue in victim.queue.path:
        if queue.queue.preempt_min_runtime is not None:
            return queue.queue.preempt_min_runtime
    return context.config.preempt_min_runtime


def reclaim_min_runtime(context: Context, reclaimer: JobState, victim: JobState) -> int:
    """The value that protects a victim from another queue's claim (ns).

    "lca": from the victim's ancestor just below the lowest common one upwards; victims of another top-level queue are
    protected by their own top-level queue only. "queue": from the victim's queue upwards.
    """
    path = victim.queue.path
    if context.config.reclaim_resolve != "queue":
        common = set(reclaimer.queue.path)
        below = [queue for queue in path if queue not in common]
        if len(below) == len(path):
            return _first_set((path[-1],), context.config.reclaim_min_runtime)
        path = tuple(queue for queue in path if queue is below[-1] or queue in common) if below else path
    return _first_set(path, context.config.reclaim_min_runtime)


def _first_set(path: tuple[QueueState, ...], default: int) -> int:
    return next((q.queue.reclaim_min_runtime for q in path if q.queue.reclaim_min_runtime is not None), default)


def protected(context: Context, batch: Batch, min_runtime: int) -> bool:
    """Whether the batch must stay: its gang is young, and taking it would break the gang."""
    started = batch.job.group.last_start
    return batch.core and started is not None and context.now < started + min_runtime
