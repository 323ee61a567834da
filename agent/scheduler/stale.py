"""Stale gangs: what is left of a gang that fell under its minimum is evicted after a grace period.

The whole tree decides (KAI's B1): a gang that needs one of two sub-groups is not stale while one is whole.
"""

from agent.domain.pods import PodStatus
from agent.domain.reasons import reason
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState


def is_stale(job: JobState) -> bool:
    """No pod succeeded, some are there, and what is there is under the minimum."""
    root = job.root
    if root.leaf and (root.used == 0 or root.used >= root.minimum):
        return False
    if any(task.pod.status == PodStatus.SUCCEEDED for task in job.tasks):
        return False
    return root.any_used and root.short


def evict_stale(context: Context) -> None:
    """Mark new stale gangs, unmark recovered ones, and evict those whose grace is over."""
    for job in context.jobs:
        group = job.group
        if not is_stale(job):
            if group.stale_since is not None:
                context.no_longer_stale.append(job.key)
            continue
        since = context.now if group.stale_since is None else group.stale_since
        if group.stale_since is None:
            context.stale.append(job.key)
        grace = context.config.staleness_grace if group.staleness_grace is None else group.staleness_grace
        if grace >= 0 and context.now >= since + grace:
            _evict(context, job)


def _evict(context: Context, job: JobState) -> None:
    session = context.session
    why = reason("Stale", needed=sum(leaf.minimum for leaf in job.root.leaves()))
    for task in job.tasks:
        if not task.active:
            continue
        node, groups = task.leaves or (task.node, task.groups)
        if task.pod.status == PodStatus.PENDING:
            session.move(task, PodStatus.PENDING, None)
        else:
            session.move(task, PodStatus.RELEASING, node, groups, zones=task.zones)
            context.evictions[task] = ("stalegangeviction", why, "")
