"""The first action: give waiting gangs what is free, queue by queue, each gang whole or not at all."""

from agent.domain.pods import PodStatus
from agent.scheduler.capacity import over_capacity
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import JobQueue, request_of


def allocate(context: Context) -> None:
    """Try every ready job in turn; a job that got its next pods and has more goes back into the line."""
    line = JobQueue(
        context.session,
        [job for job in context.jobs if job.waiting and job.root.ready],
        context.totals,
        context.smallest_device,
        depth=context.config.queue_depth.get("allocate"),
    )
    while (job := line.pop()) is not None:
        if attempt(context, job) and job.waiting and job.root.next_tasks():
            line.push(job)


def attempt(context: Context, job: JobState, *, wait_only: bool = False, home_first: bool = False) -> bool:
    """Place the job's next pods, all of them or none."""
    tasks = job.root.next_tasks()
    return bool(tasks) and place_all(context, job, tasks, wait_only=wait_only, home_first=home_first)


def place_all(
    context: Context, job: JobState, tasks: list[TaskState], *, wait_only: bool = False, home_first: bool = False
) -> bool:
    """Place these pods or none. ``home_first``: evicted pods return to their own node when it still has room."""
    session = context.session
    if broken := over_capacity(job, request_of(tasks, context.largest_device)):
        context.blocked[job] = broken
        return False
    mark = session.mark()
    for task in tasks:
        if home_first and task.virtual and context.placer.put_back(task):
            continue
        if not context.placer.place(task, wait_only=wait_only):
            session.undo(mark)
            return False
    hold_back(context, job, tasks)
    context.blocked.pop(job, None)
    return True


def hold_back(context: Context, job: JobState, tasks: list[TaskState]) -> None:
    """A gang that cannot start whole does not start in part: what could start waits for the pods that must wait."""
    waits = any(
        any(task.status == PodStatus.PIPELINED for task in leaf.tasks)
        and sum(1 for task in leaf.tasks if task.active and task.status != PodStatus.PIPELINED) < leaf.minimum
        for leaf in job.root.leaves()
    )
    if waits:
        for task in tasks:
            if task.status == PodStatus.ALLOCATED:
                context.session.move(task, PodStatus.PIPELINED, task.node, task.groups)
