"""Preempt: inside a queue, a workload of higher priority takes the room of preemptible ones of lower priority."""

from collections.abc import Iterator
from itertools import takewhile

from agent.scheduler import evict
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.protection import preempt_min_runtime, protected
from agent.scheduler.reach import enough, out_of_reach, too_few_domains
from agent.scheduler.simulation import Outcome
from agent.scheduler.solver import Search, solve
from agent.scheduler.victims import Batch, VictimIndex, VictimWalk


def preempt(context: Context) -> None:
    """Let each waiting job preempt, in turn."""
    evict.run(context, "preempt", _attempt, lambda job: job.queue)


def _lower(index: VictimIndex, job: JobState) -> Iterator[Batch]:
    """The queue's victims of lower priority; they stand first in its line."""
    return takewhile(lambda batch: batch.job.priority < job.priority, index.line(job.queue))


def _attempt(context: Context, index: VictimIndex, job: JobState, tasks: list[TaskState]) -> Outcome | None:
    def wanted(batch: Batch) -> bool:
        return batch.job.priority < job.priority and not protected(
            context, batch, preempt_min_runtime(context, batch.job)
        )

    within = [batch for batch in _lower(index, job) if wanted(batch)]
    if why := too_few_domains(context, tasks) or out_of_reach(context, job, tasks, within):
        context.notes[job] = why
        return None
    if not within or not enough(context, tasks, within):
        return None
    search = Search(
        context,
        job,
        tasks,
        walk=VictimWalk(index, [job.queue], context.totals, wanted),
        valid=lambda outcome: True,
    )
    return solve(search)
