"""The first action: give waiting gangs what is free, queue by queue, each gang whole or not at all."""

from collections.abc import Sequence
from functools import partial

from agent.domain.pods import PodStatus
from agent.domain.reasons import Reason
from agent.scheduler.capacity import over_capacity
from agent.scheduler.context import Context
from agent.scheduler.dominance import FailedShapes
from agent.scheduler.forecast import Reservation, reserve
from agent.scheduler.gangs import GangNode, JobState, TaskState
from agent.scheduler.order import JobQueue, request_of
from agent.scheduler.placement import Scope
from agent.scheduler.topology import levels_of, scopes


def allocate(context: Context) -> None:
    """Try every ready job in turn; a job that got its next pods and has more goes back into the line.

    Those for whom others were evicted come first: the room is theirs. Room only shrinks meanwhile, so what found none
    once is not tried again in a harder form.
    """
    for key in context.slice.promised:
        job = context.session.jobs.get(key)
        if job is not None and job.waiting and job.root.ready:
            attempt(context, job)
    failed = FailedShapes(context.profiles, by_priority=False)
    line = JobQueue(
        context.session,
        context.waiting.lines(),
        context.totals,
        context.smallest_device,
        key=context.job_key,
        depth=context.config.queue_depth.get("allocate"),
        dismiss=lambda job: failed.covers(None, job) or failed.covers(job.queue, job),
    )
    reservation: Reservation | None = None
    while (job := line.pop()) is not None:
        scope = reservation.scope_for(job, context.now) if reservation is not None else None
        if attempt(context, job, scope=scope):
            if job.waiting and job.root.next_tasks():
                line.push(job)
        elif job in context.blocked:
            failed.add(job.queue, job)
        elif not context.config.reservation:
            _remember(context, failed, job)
        elif reservation is None:
            tasks = job.root.next_tasks()
            reservation = reserve(context, job, tasks, partial(place_all, context, job, tasks, wait_only=True))


def _remember(context: Context, failed: FailedShapes, job: JobState) -> None:
    """A failure for want of room; what waits for friends may find them later in the same line."""
    conditions = context.session.conditions
    if conditions is None or not any(conditions.concerns(task) for task in job.root.next_tasks()):
        failed.add(None, job)


def attempt(
    context: Context,
    job: JobState,
    *,
    wait_only: bool = False,
    home_first: bool = False,
    scope: Scope | None = None,
) -> bool:
    """Place the job's next pods, all of them or none; with ``scope`` on these nodes only."""
    tasks = job.root.next_tasks()
    return bool(tasks) and place_all(context, job, tasks, wait_only=wait_only, home_first=home_first, scope=scope)


def place_all(
    context: Context,
    job: JobState,
    tasks: list[TaskState],
    *,
    wait_only: bool = False,
    home_first: bool = False,
    scope: Scope | None = None,
) -> bool:
    """Place these pods or none. ``home_first``: evicted pods return to their own node when it still has room."""
    if broken := over_capacity(job, request_of(tasks, context.largest_device)):
        context.blocked[job] = broken
        return False
    if not _place_group(context, job.root, tasks, scope, wait_only=wait_only, home_first=home_first):
        return False
    hold_back(context, job)
    context.blocked.pop(job, None)
    return True


def _place_group(
    context: Context,
    group: GangNode,
    tasks: list[TaskState],
    scope: Scope | None,
    *,
    wait_only: bool,
    home_first: bool,
) -> bool:
    """Place these pods of a (sub)group inside the scope, all or none; a topology rule narrows the scope."""
    session = context.session
    for narrowed in _scopes(context, group, tasks, scope):
        mark = session.mark()
        if _place_inside(context, group, tasks, narrowed, wait_only=wait_only, home_first=home_first):
            return True
        session.undo(mark)
    return False


def _scopes(context: Context, group: GangNode, tasks: list[TaskState], scope: Scope | None) -> Sequence[Scope | None]:
    rule = group.topology
    if rule is None:
        return (scope,)
    topology = context.topologies.get(rule.topology)
    levels = levels_of(topology, rule)
    if isinstance(levels, Reason) or topology is None:
        return ()
    nodes = context.placer.nodes if scope is None else scope.nodes
    usable = [node for node in nodes if any(context.placer.rules.misfit(task.shape, node) is None for task in tasks)]
    return scopes(topology, levels, group, tasks, usable, context.smallest_device)


def _place_inside(
    context: Context,
    group: GangNode,
    tasks: list[TaskState],
    scope: Scope | None,
    *,
    wait_only: bool,
    home_first: bool,
) -> bool:
    if group.constrained_below:
        for child in group.children:
            mine = [task for task in tasks if child.holds(task)]
            if mine and not _place_group(context, child, mine, scope, wait_only=wait_only, home_first=home_first):
                return False
        return True
    placer = context.placer
    for task in tasks:
        if home_first and task.virtual and (scope is None or _inside(task, scope)) and placer.put_back(task):
            continue
        if not placer.place(task, wait_only=wait_only, scope=scope):
            return False
    return True


def _inside(task: TaskState, scope: Scope) -> bool:
    return task.node is not None and task.node.index in scope.members


def hold_back(context: Context, job: JobState) -> None:
    """A gang that cannot start whole does not start in part: what could start waits for the pods that must wait."""
    waits = any(
        any(task.status == PodStatus.PIPELINED for task in leaf.tasks)
        and sum(1 for task in leaf.tasks if task.active and task.status != PodStatus.PIPELINED) < leaf.minimum
        for leaf in job.root.leaves()
    )
    if waits:
        for task in job.tasks:
            if task.status == PodStatus.ALLOCATED and task.pod.status == PodStatus.PENDING:
                context.session.move(task, PodStatus.PIPELINED, task.node, task.groups, zones=task.zones)
