"""Fair shares of a pool: totals from the nodes, requests from the pods, divided level by level down the queue tree."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from agent.domain.pods import PodStatus
from agent.domain.quantities import MILLI
from agent.domain.queues import UsageShare
from agent.scheduler.division import Claim, Number, divide
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState
from agent.scheduler.ledger import NodeState
from agent.scheduler.order import rank_siblings, request_of
from agent.scheduler.shapes import mig_slices
from agent.scheduler.state import Session

UNITS = (MILLI, 1, 1)
"""Shares over quota are whole GPUs, whole milli-CPU and whole bytes."""

MILLIONTHS = 1_000_000


def totals_of(nodes: Iterable[NodeState]) -> Vector:
    """What the pool's ready nodes offer our pods: [milli-GPU, milli-CPU, bytes]."""
    gpu = cpu = memory = 0
    for state in nodes:
        node = state.node
        if not node.ready:
            continue
        foreign = dict(node.foreign.extended)
        gpu += (state.gpus - node.foreign.gpus) * MILLI
        gpu += sum(mig_slices(name) * (count - foreign.get(name, 0)) for name, count in node.mig) * MILLI
        cpu += node.cpu - node.foreign.cpu
        memory += node.memory - node.foreign.memory
    return [max(gpu, 0), max(cpu, 0), max(memory, 0)]


def count_requests(jobs: Iterable[JobState], queues: Iterable[QueueState], smallest_device: int) -> None:
    """Set every queue's request: what it holds plus what its pending pods ask for, up to the root."""
    for queue in queues:
        queue.request = list(queue.allocated)
    pending: dict[QueueState, list[int]] = {}
    for job in jobs:
        if job.waiting:
            tasks = (task for task in job.tasks if task.status == PodStatus.PENDING)
            sums = pending.setdefault(job.queue, [0, 0, 0])
            for index, amount in enumerate(request_of(tasks, smallest_device)):
                sums[index] += amount
    for queue, sums in pending.items():
        for ancestor in queue.path:
            for index in range(3):
                ancestor.request[index] += sums[index]


def share_out(session: Session, totals: Vector, *, k_value: int, usage: Mapping[str, UsageShare]) -> None:
    """Divide the totals among the top queues, each one's share among its children, and so on; then rank siblings."""
    top = [queue for queue in session.queues.values() if queue.parent is None]
    level: list[tuple[list[QueueState], Vector]] = [(top, totals)]
    k = Fraction(k_value, MILLI)
    while level:
        below: list[tuple[list[QueueState], Vector]] = []
        for siblings, total in level:
            _divide_level(siblings, total, k, usage)
            rank_siblings(siblings)
            below.extend((queue.children, queue.fair) for queue in siblings if queue.children)
        level = below


def _divide_level(siblings: list[QueueState], total: Vector, k: Fraction, usage: Mapping[str, UsageShare]) -> None:
    shares: list[dict[str, Number]] = []
    for index, unit in enumerate(UNITS):
        claims = [_claim(queue, index, usage.get(queue.name)) for queue in siblings]
        shares.append(divide(total[index], claims, k=k, unit=unit)[0])
    for queue in siblings:
        queue.set_fair_share(int(share[queue.name]) for share in shares)


def _claim(queue: QueueState, index: int, usage: UsageShare | None) -> Claim:
    known = queue.queue
    used = (usage.gpu, usage.cpu, usage.memory)[index] if usage else 0
    return Claim(
        uid=queue.name,
        deserved=queue.deserved[index],
        limit=queue.limit[index],
        request=queue.request[index],
        weight=known.shares()[index].weight,
        priority=known.priority,
        created=known.created,
        usage=Fraction(used, MILLIONTHS) if used else 0,
    )
