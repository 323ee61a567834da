"""What is out of reach whatever is evicted: bounds that end a search before it starts, with the numbers that say why.

Each bound is sound: it assumes more is free, and more may be taken, than ever could be.
"""

from collections.abc import Iterable, Sequence

from agent.domain.quantities import RESOURCES, UNLIMITED
from agent.domain.reasons import Reason, reason
from agent.scheduler.claims import divergence, exceeds
from agent.scheduler.context import Context
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import GangNode, JobState, TaskState
from agent.scheduler.room import Promise, Wanted, demand_of
from agent.scheduler.topology import build, by_depth, levels_of, topology_reason
from agent.scheduler.victims import Batch, VictimIndex

GPU = 0


def too_few_domains(context: Context, tasks: Sequence[TaskState]) -> Reason | None:
    """Pods that must keep apart per rack (host, zone …) need as many racks as there are pods."""
    conditions = context.session.conditions
    if conditions is None or not conditions.affinity.active:
        return None
    counts: dict[tuple[int, str], int] = {}
    for task in tasks:
        for key in {term.topology_key for term in task.shape.constraints.pod_anti_affinity}:
            counts[task.shape.index, key] = counts.get((task.shape.index, key), 0) + 1
    for (index, key), count in sorted(counts.items()):
        task = next(task for task in tasks if task.shape.index == index)
        usable = [node for node in context.placer.nodes if context.placer.rules.misfit(task.shape, node) is None]
        domains = conditions.affinity.domains_for(task, usable).get(key)
        if domains is not None and domains < count:
            return reason("TooFewDomains", topology_key=key, needed=count, domains=domains)
    return None


def reclaimable(
    index: VictimIndex, job: JobState, queues: Iterable[QueueState], request: tuple[int, int, int]
) -> tuple[int, int]:
    """(upper bound, plain amount) of milli-GPU that the rules of reclaim let this job take from these queues."""
    parts: dict[QueueState, tuple[QueueState, int, int]] = {}
    for queue in queues:
        mine, theirs = divergence(job.queue, queue)
        _, total, largest = parts.get(theirs, (mine, 0, 0))
        parts[theirs] = (mine, total + index.total(queue), max(largest, index.largest(queue)))
    bound = plain = 0
    for theirs, (mine, total, largest) in parts.items():
        entitled = all(
            limit == UNLIMITED or amount <= limit for amount, limit in zip(request, mine.deserved, strict=True)
        )
        level = theirs.deserved if entitled else theirs.allocatable
        if exceeds(theirs.allocated[1:], level[1:]):
            bound, plain = bound + total, plain + total
        elif level[GPU] != UNLIMITED and theirs.allocated[GPU] > level[GPU]:
            over = theirs.allocated[GPU] - level[GPU]
            bound += min(total, over - 1 + largest)
            plain += min(total, over)
    return bound, plain


def short_of_victims(
    context: Context,
    index: VictimIndex,
    job: JobState,
    tasks: list[TaskState],
    queues: list[QueueState],
    request: tuple[int, int, int],
) -> Reason | None:
    """Why all that is free and all that may be reclaimed together are not enough."""
    wanted = Wanted(tasks, context.smallest_device)
    if not wanted.unit:
        return None
    room = context.room_for(tasks, wanted.unit)
    if room.total >= wanted.total:
        return None
    bound, plain = reclaimable(index, job, queues, request)
    if room.total + bound >= wanted.total:
        return None
    return reason("NoVictims", resource=RESOURCES[GPU], requested=wanted.total, free=room.total, reclaimable=plain)


def out_of_reach(context: Context, job: JobState, tasks: list[TaskState], batches: Iterable[Batch]) -> Reason | None:
    """Why the gang would not fit even if every one of these victims were gone."""
    wanted = Wanted(tasks, context.smallest_device)
    if len(tasks) < 2 or not wanted.unit:
        return None
    promise = Promise(context.room_for(tasks, wanted.unit))
    ruled = job.root.ruled
    for batch in batches:
        promise.add(batch.tasks)
        if not ruled and wanted.possible(promise.fits, promise.total):
            return None
    if not wanted.possible(promise.fits, promise.total):
        return reason("OutOfReach", needed=wanted.count, fits=min(promise.fits, wanted.count - 1))
    return _domain_too_small(context, job.root, tasks, promise)


def enough(context: Context, tasks: list[TaskState], batches: Iterable[Batch]) -> bool:
    """Whether the gang might fit if every one of these victims were gone."""
    wanted = Wanted(tasks, context.smallest_device)
    promise = Promise(context.room_for(tasks, wanted.unit))
    if wanted.possible(promise.fits, promise.total):
        return True
    for batch in batches:
        promise.add(batch.tasks)
        if wanted.possible(promise.fits, promise.total):
            return True
    return False


def _domain_too_small(context: Context, group: GangNode, tasks: list[TaskState], promise: Promise) -> Reason | None:
    rule = group.topology
    if rule is not None and rule.required:
        topology = context.topologies.get(rule.topology)
        levels = levels_of(topology, rule)
        if isinstance(levels, Reason) or topology is None:
            return levels if isinstance(levels, Reason) else None
        depth = levels.required or 0
        unit = min(demand_of(task.shape, context.smallest_device) for task in tasks)
        best, fits, count = "", 0, 0
        tree = by_depth(build(topology, context.placer.nodes, depth))
        for domain in tree[depth] if depth < len(tree) else []:
            count += 1
            here = sum(max(promise.on(node.index), 0) // unit for node in domain.nodes)
            if here > fits:
                best, fits = domain.id, here
        if fits < len(tasks):
            return topology_reason(rule, len(tasks), count, best, fits)
    for child in group.children:
        mine = [task for task in tasks if child.holds(task)]
        if mine and (found := _domain_too_small(context, child, mine, promise)):
            return found
    return None
