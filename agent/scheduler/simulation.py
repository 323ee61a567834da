"""One what-if: evict some pods, place the waiting gang, let the evicted ones find places again in their order.

Everything happens on the undoable working copy; a failed simulation leaves no trace (KAI's B2), and a victim that
keeps its place was never evicted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.domain.pods import PodStatus
from agent.scheduler.allocate import attempt, place_all
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import JobQueue, lines_of, request_of
from agent.scheduler.state import Session
from agent.scheduler.victims import Batch

PENDING, RELEASING, PIPELINED = PodStatus.PENDING, PodStatus.RELEASING, PodStatus.PIPELINED


@dataclass(slots=True)
class Outcome:
    """A simulation that placed the gang: pods that must go, and pods that go but restart elsewhere at once."""

    mark: int
    evicted: list[TaskState]
    moved: list[TaskState]


def simulate(context: Context, job: JobState, tasks: list[TaskState], batches: list[Batch]) -> Outcome | None:
    """The outcome, left standing on the working copy; or None with everything undone.

    A gang that cannot do without the victims goes whole: what it has beyond its minimum on other nodes does not run on
    without it. All of it may find places again.
    """
    session = context.session
    mark = session.mark()
    was_whole = {batch.job: batch.job.root.satisfied for batch in batches}
    victims = _evict(session, (task for batch in batches for task in batch.tasks))
    for victim, whole in was_whole.items():
        if whole and not victim.root.satisfied:
            victims += _evict(session, victim.root.all_tasks())
    if not _replay(context, job, tasks, was_whole):
        session.undo(mark)
        return None
    return Outcome(
        mark,
        [task for task in victims if task.status in (RELEASING, PENDING)],
        [task for task in victims if task.status == PIPELINED],
    )


def _evict(session: Session, tasks: Iterable[TaskState]) -> list[TaskState]:
    found = [task for task in tasks if task.active]
    for task in found:
        evict(session, task)
    return found


def evict(session: Session, task: TaskState) -> None:
    """Evict in this what-if only. A pod that is merely promised room gives the promise back and is where it was."""
    if task.status != PIPELINED:
        session.move(task, RELEASING, task.node, task.groups, virtual=True, zones=task.zones)
    elif task.leaves is not None:
        node, groups = task.leaves
        session.move(task, RELEASING, node, groups, virtual=True)
    else:
        session.move(task, PENDING, None)


def _replay(context: Context, job: JobState, tasks: list[TaskState], victims: Iterable[JobState]) -> bool:
    """Let the gang and the victims' jobs be placed in their order. False when the gang finds no place."""
    line = JobQueue(
        context.session,
        lines_of([job, *victims]),
        context.totals,
        context.smallest_device,
        fixed={job: request_of(tasks, context.smallest_device)},
    )
    placed = False
    while (candidate := line.pop()) is not None:
        if candidate is job:
            if not place_all(context, job, tasks, wait_only=True):
                return False
            placed = True
        elif attempt(context, candidate, wait_only=True, home_first=placed) and candidate.root.next_tasks():
            line.push(candidate)
    return placed
