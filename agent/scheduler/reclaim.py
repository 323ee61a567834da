"""Reclaim: a queue below its fair share takes back what other queues hold beyond theirs."""

from collections.abc import Mapping, Sequence

from agent.domain.quantities import RESOURCES
from agent.domain.reasons import reason
from agent.scheduler import evict
from agent.scheduler.claims import Ledger, bundles_allowed, giving_queues, may_reclaim, stays_fair
from agent.scheduler.context import Context
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.foresight import Foresight
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import request_of
from agent.scheduler.protection import protected, reclaim_min_runtime
from agent.scheduler.reach import out_of_reach, short_of_victims, too_few_domains
from agent.scheduler.simulation import Outcome
from agent.scheduler.solver import Search, solve
from agent.scheduler.victims import Batch, VictimIndex, VictimWalk, anyone


def reclaim(context: Context) -> None:
    """Let each waiting job reclaim, in turn."""
    evict.run(context, "reclaim", _attempt, lambda job: job.queue, by_priority=False)


def _attempt(context: Context, index: VictimIndex, job: JobState, tasks: list[TaskState]) -> Outcome | None:
    request = request_of(tasks, context.smallest_device)
    if over := may_reclaim(job, request):
        queue, resource = over
        context.notes[job] = reason(
            "FairShare",
            queue=queue.name,
            label=queue.queue.label,
            kind=queue.queue.kind,
            resource=RESOURCES[resource],
            used=queue.allocated[resource],
            requested=request[resource],
            fair_share=queue.fair[resource],
            quota=queue.deserved[resource],
        )
        return None
    queues = giving_queues(job.queue, index.beside(job.queue), request)

    def unprotected(batch: Batch) -> bool:
        return not protected(context, batch, reclaim_min_runtime(context, job, batch.job))

    wanted = unprotected if context.reclaim_protects else anyone
    if why := too_few_domains(context, tasks) or short_of_victims(context, index, job, tasks, queues, request):
        context.notes[job] = why
        return None
    within = (batch for queue in queues for batch in index.under(queue) if wanted is anyone or wanted(batch))
    if why := out_of_reach(context, job, tasks, within):
        context.notes[job] = why
        return None
    before = context.base_allocated()
    search = Search(
        context,
        job,
        tasks,
        walk=VictimWalk(index, queues, context.totals, wanted),
        valid=lambda outcome: _valid(context, job, request, outcome, before),
        hopeless=Foresight(context, job, lambda bundles: _may(context, job, request, bundles, before)).hopeless,
    )
    return solve(search)


def _valid(
    context: Context,
    job: JobState,
    request: tuple[int, int, int],
    outcome: Outcome,
    before: Mapping[QueueState, Vector],
) -> bool:
    """Whether what is really taken may be taken, and leaves everybody as fair as before."""
    taken = list(outcome.evicted)
    if not context.config.allow_consolidating_reclaim:
        taken += outcome.moved
    return _may(context, job, request, _bundles(taken), before)


def _may(
    context: Context,
    job: JobState,
    request: tuple[int, int, int],
    bundles: Sequence[tuple[QueueState, Sequence[int]]],
    before: Mapping[QueueState, Vector],
) -> bool:
    """Whether these bundles may be taken, one after another."""
    ledger = Ledger(before)
    if not bundles_allowed(job.queue, request, bundles, ledger):
        return False
    involved = [index for index in range(3) if request[index] > 0 or any(amount[index] for _, amount in bundles)]
    return stays_fair(job, request, ledger, involved, context.config.saturation_multiplier)


def _bundles(taken: list[TaskState]) -> list[tuple[QueueState, Vector]]:
    """Surplus pods one by one, what a gang needs as one bundle; in the order they were taken."""
    by_job: dict[JobState, list[TaskState]] = {}
    for task in taken:
        by_job.setdefault(task.job, []).append(task)
    found: list[tuple[QueueState, Vector]] = []
    for job, tasks in by_job.items():
        surplus = 0 if job.root.satisfied is False and not job.root.elastic else _surplus(job, tasks)
        found.extend((job.queue, list(task.accounted)) for task in tasks[:surplus])
        rest = tasks[surplus:]
        if rest:
            found.append((job.queue, [sum(task.accounted[index] for task in rest) for index in range(3)]))
    return found


def _surplus(job: JobState, tasks: list[TaskState]) -> int:
    """How many of the taken pods the gang could do without."""
    surplus = 0
    gone: dict[object, int] = {}
    for task in tasks:
        gone[task.leaf] = gone.get(task.leaf, 0) + 1
    for leaf in job.root.leaves():
        count = gone.get(leaf, 0)
        surplus += min(count, max(leaf.active + count - leaf.minimum, 0))
    return surplus
