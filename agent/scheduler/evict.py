"""What the three actions that take room have in common: which jobs try, in what order, and how a find is booked."""

from collections.abc import Callable, Iterator

from agent.domain.pods import PodStatus
from agent.domain.reasons import Reason, reason
from agent.scheduler.context import Context
from agent.scheduler.dominance import FailedShapes
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import JobQueue
from agent.scheduler.simulation import Outcome
from agent.scheduler.slices import TURN
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
    a failure. ``by_priority``: whether a higher priority can succeed where a lower one failed. Ends early, to be gone
    on with in the next plan, when the plan's slice of eviction work is used up.
    """
    work = context.slice
    if not work.begins(action, context.jobs):
        return
    first = _first(context)
    lines = context.waiting.lines(_wanted(context, first))
    if not lines and first is None:
        return
    index = _victims(context)
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
    context.spent = work.spent
    for job in _turns(first, line):
        tasks = job.root.next_tasks()
        if not tasks or (allowed is not None and not allowed(job, tasks)) or failed.covers(scope(job), job):
            continue
        work.steps += TURN
        outcome = attempt(context, index, job, tasks)
        if outcome is not None:
            index.renew(book(context, action, job, outcome))
        elif work.cut is None:
            failed.add(scope(job), job)
        if work.used_up:
            rest = (job for job in line.rest() if not failed.covers(scope(job), job))
            work.stop(context.jobs, rest, context.spent)
            return


def _victims(context: Context) -> VictimIndex:
    """The index of victims, up to date."""
    if context.victims is None:
        context.victims = VictimIndex(context.session, context.jobs)
    context.victims.renew(context.jobs)
    return context.victims


def _first(context: Context) -> JobState | None:
    """The job whose search the plan before had to end, if it may still try."""
    cut = context.slice.first
    job = context.session.jobs.get(cut.job) if cut is not None else None
    return job if job is not None and job.waiting and job.root.ready and not _delayed(context, job) else None


def _wanted(context: Context, first: JobState | None) -> Callable[[JobState], bool] | None:
    """Who is in the action's line; None: all who wait."""
    has = context.slice.has
    if context.slice.sliced:
        return lambda job: has(job) and job is not first and not _delayed(context, job)
    return (lambda job: not _delayed(context, job)) if context.delays else None


def _turns(first: JobState | None, line: JobQueue) -> Iterator[JobState]:
    if first is not None:
        yield first
    while (job := line.pop()) is not None:
        yield job


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
    context.slice.won.append(job.key)
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
