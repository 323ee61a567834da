"""Consolidation: move preemptible workloads together so that a waiting one fits; nobody loses its place."""

from agent.domain.quantities import MILLI
from agent.scheduler import evict
from agent.scheduler.capacity import over_capacity
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import request_of
from agent.scheduler.reach import too_few_domains
from agent.scheduler.room import Wanted
from agent.scheduler.simulation import Outcome
from agent.scheduler.solver import Search, solve
from agent.scheduler.victims import Batch, VictimIndex, VictimWalk, anyone


def consolidate(context: Context) -> None:
    """Let each waiting preemptible job ask others to move, in turn. Spreading pools do not consolidate."""
    strategy = context.placer.strategy
    if not (strategy.gpu_spread or strategy.cpu_spread):
        evict.run(
            context, "consolidation", _attempt, lambda job: None, lambda job, tasks: _may_try(context, job, tasks)
        )


def _attempt(context: Context, index: VictimIndex, job: JobState, tasks: list[TaskState]) -> Outcome | None:
    if not _enough_free(context, tasks) or too_few_domains(context, tasks):
        return None

    def others(batch: Batch) -> bool:
        return batch.job is not job

    search = Search(
        context,
        job,
        tasks,
        walk=VictimWalk(index, index.below(None), context.totals, others if job.root.started else anyone),
        valid=lambda outcome: not outcome.evicted,
        most=context.config.max_consolidation_victims,
    )
    return solve(search)


def _may_try(context: Context, job: JobState, tasks: list[TaskState]) -> bool:
    """Moving others about changes nobody's quota, so a queue that is full stays full."""
    return job.preemptible and over_capacity(job, request_of(tasks, context.largest_device)) is None


def _enough_free(context: Context, tasks: list[TaskState]) -> bool:
    """Whether the pool's free devices, all together, cover the request."""
    wanted = Wanted(tasks, context.smallest_device)
    room = context.room_for(tasks, max(wanted.unit, MILLI if wanted.unit else 0))
    return room.total >= wanted.total
