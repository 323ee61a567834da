"""What the three actions that take room have in common: which jobs try, in what order, and how a find is booked."""

from collections.abc import Callable

from agent.domain.pods import PodStatus
from agent.domain.reasons import Reason, reason
from agent.scheduler.context import Context
from agent.scheduler.dominance import FailedShapes
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import JobQueue
from agent.scheduler.simulation import Outcome
from agent.scheduler.victims import VictimIndex

Attempt = Callable[[Context, VictimIndex, JobState, list[TaskState]], Outcome | None]


def run(
    context: Context,
    action: str,
    attempt: Attempt,
    scope: Callable[[JobState], QueueState | None],
    allowed: Callable[[JobState, list[TaskState]], bool] | None = None,
    *,
    by_priority: bool = True,
) -> None:
    """Let every waiting job try once, in turn: an elastic gang grows by one pod a plan at others' expense.

    ``scope``: within what a failure tells about harder jobs. ``allowed``: what is false for others must not count as
    a failure. ``by_priority``: whether a higher priority can succeed where a lower one failed.
    """
    lines = context.waiting.lines((lambda job: not _delayed(context, job)) if context.delays else None)
    if not lines:
        return
    if context.victims is None:
        context.victims = VictimIndex(context.session, context.jobs)
    index = context.victims
    index.renew(context.jobs)
    failed = FailedShapes(context.profiles, by_priority=by_priority)
    line = JobQueue(
        context.session,
        lines,
        context.totals,
        context.smallest_device,
        key=context.job_key,
        depth=context.config.queue_depth.get(action),
        dismiss=lambda job: failed.covers(scope(job), job),
    )
    context.spent = 0
    while (job := line.pop()) is not None:
        tasks = job.root.next_tasks()
        if not tasks or (allowed is not None and not allowed(job, tasks)) or failed.covers(scope(job), job):
            continue
        outcome = attempt(context, index, job, tasks)
        if outcome is None:
            failed.add(scope(job), job)
            continue
        index.renew(book(context, action, job, outcome))


def _delayed(context: Context, job: JobState) -> bool:
    """Whether the job may not cause evictions yet."""
    group = job.group
    if not group.preemption_delay:
        return False
    since = max(group.created, group.last_eviction or group.created)
    left = since + group.preemption_delay - context.now
    if left <= 0:
        return False
    context.notes[job] = reason("PreemptionDelayNotElapsed", seconds=-(-left // 1_000_000_000))
    return True


def book(context: Context, action: str, job: JobState, outcome: Outcome) -> list[JobState]:
    """Make the outcome part of the plan. Returns the jobs whose pods moved.

    A pod that this very plan had placed is not evicted, it just waits again.
    """
    changed: dict[JobState, None] = {job: None}
    session = context.session
    displaced = {task.job.key for task in outcome.evicted if task.pod.status == PodStatus.PENDING}
    if displaced:
        _hand_over(context, displaced, job)
    for task in (*outcome.evicted, *outcome.moved):
        changed[task.job] = None
        if task.virtual:
            session.move(task, task.status, task.node, task.groups, zones=task.zones, leaves=task.leaves)
        if task.pod.status == PodStatus.PENDING:
            if task.status != PodStatus.PIPELINED:
                session.move(task, PodStatus.PENDING, None)
            continue
        why = _why(action, job, task, moved=task.status == PodStatus.PIPELINED)
        context.evictions[task] = (action, why, job.key)
    return list(changed)


def _hand_over(context: Context, displaced: set[str], job: JobState) -> None:
    """What was evicted for jobs that lose their promise again is evicted for the one that displaces them."""
    for task, (action, why, by) in context.evictions.items():
        if by in displaced:
            context.evictions[task] = (action, why, job.key)


def _why(action: str, job: JobState, task: TaskState, *, moved: bool) -> Reason:
    if action == "consolidation" or moved:
        return reason("Consolidated", by=job.key)
    if action == "preempt":
        return reason("Preempted", by=job.key, priority=job.priority, victim_priority=task.job.priority)
    owner, other = task.job.queue, job.queue
    return reason(
        "Reclaimed",
        by=job.key,
        owner=owner.name,
        used=owner.allocated[0],
        quota=owner.deserved[0],
        fair_share=owner.fair[0],
        other=other.name,
        other_used=other.allocated[0],
        other_quota=other.deserved[0],
        other_fair_share=other.fair[0],
    )
