"""When could a waiting gang start if everything ran as long as expected: for reservations and wait estimates."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.domain.pods import PodStatus
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.placement import Scope
from agent.scheduler.room import Wanted


@dataclass(frozen=True, slots=True)
class Forecast:
    """The gang fits at ``time`` (ns) on the nodes with these indexes."""

    time: int
    nodes: frozenset[int]


@dataclass(slots=True)
class Reservation:
    """Nodes kept for a gang from a time on; others may use them only if they are done by then."""

    job: JobState
    forecast: Forecast
    others: Scope

    def scope_for(self, job: JobState, now: int) -> Scope | None:
        """Where another job may be placed: anywhere if it ends in time (conservative backfill), else elsewhere."""
        runtime = job.group.expected_runtime
        if runtime is not None and now + runtime <= self.forecast.time:
            return None
        return self.others


def ends_of(context: Context) -> list[tuple[int, JobState]]:
    """Running jobs by the time they are expected to end; jobs that tell no run time never end."""
    found = [
        (max(job.group.last_start + job.group.expected_runtime, context.now), job)
        for job in context.jobs
        if job.group.expected_runtime is not None and job.group.last_start is not None and job.root.started
    ]
    return sorted(found, key=lambda entry: (entry[0], entry[1].key))


def earliest_start(
    context: Context, tasks: list[TaskState], place: Callable[[], bool], *, most: int = 200
) -> Forecast | None:
    """The first moment the gang fits as running jobs end one after another; None when that is never or unknown.

    ``place`` puts the gang on the working copy, waiting for room; everything is undone. At most ``most`` moments are
    tried.
    """
    session = context.session
    wanted = Wanted(tasks, context.smallest_device)
    mark = session.mark()
    tried = 0
    forecast: Forecast | None = None
    for time, job in ends_of(context):
        for task in job.tasks:
            if task.active:
                session.move(task, PodStatus.RELEASING, task.node, task.groups, zones=task.zones)
        room = context.room_for(tasks, wanted.unit)
        if not wanted.possible(room.fits, room.total):
            continue
        tried += 1
        if place():
            forecast = Forecast(time, frozenset(task.node.index for task in tasks if task.node is not None))
            break
        if tried >= most:
            break
    session.undo(mark)
    return forecast


def reserve(context: Context, job: JobState, tasks: list[TaskState], place: Callable[[], bool]) -> Reservation | None:
    """Keep nodes for the gang that is stuck first, if it is known when it could start."""
    forecast = earliest_start(context, tasks, place)
    if forecast is None:
        return None
    others = [node for node in context.placer.nodes if node.index not in forecast.nodes]
    return Reservation(job, forecast, Scope(others))
