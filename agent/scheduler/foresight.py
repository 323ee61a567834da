"""What comes of taking some victims, worked out instead of tried, for the plain cases that most searches are made of.

Plain: the gang's pods fit nowhere now, the victims are all that gangs of pods of one shape have, those shapes fit
nowhere else either, and no rule between pods or about topology concerns them. Then the victims' places are all the
room there is, and who gets it depends on whose turn it is. One victim: if its turn comes first it returns to where it
was and the pod still fits nowhere; otherwise it is gone for good, since there is room for it again only where the pod
would have fitted before. Several victims, all of the gang's own shape: places are counted off turn by turn.
"""

from collections.abc import Callable

from agent.domain.pods import PodStatus
from agent.domain.quantities import UNLIMITED
from agent.scheduler.claims import divergence
from agent.scheduler.context import Context
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import queue_key, request_of
from agent.scheduler.shapes import SHARED, WHOLE, Shape
from agent.scheduler.turns import Turns
from agent.scheduler.victims import Amount, Batch

Allows = Callable[[list[tuple[QueueState, Amount]]], bool]
"""Whether so much may be taken from these queues for good, one after another."""

SETTLED = (PodStatus.ALLOCATED, PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING, PodStatus.PIPELINED)
OPEN, RETURNS, FORBIDDEN = 0, 1, 2
"""Nothing is known; the victim would have its turn first; it may not be taken for good."""


class Foresight:
    """For one search, from the state of the cluster in which it begins."""

    __slots__ = ("_allows", "_context", "_fits", "_job", "_places", "_verdicts")

    def __init__(self, context: Context, job: JobState, allows: Allows) -> None:
        self._context = context
        self._job = job
        self._allows = allows
        self._fits: dict[int, bool] = {}
        self._places: dict[int, int] = {}
        self._verdicts: dict[tuple[QueueState, Amount], int] = {}

    def hopeless(self, tasks: list[TaskState], batches: list[Batch]) -> bool:
        """True only if simulating these victims for these pods surely fails or is not allowed."""
        if self._job.root.ruled or not all(map(plain, batches)):
            return False
        if len(tasks) == 1 and len(batches) == 1:
            return self._alone(tasks[0], batches[0])
        shape = tasks[0].shape
        if (
            not self._context.config.allow_consolidating_reclaim
            or shape.kind != WHOLE
            or any(task.shape is not shape for task in tasks)
        ):
            return False
        if any(batch.tasks[0].shape is not shape or batch.job.queue is self._job.queue for batch in batches):
            return False
        pods = (*tasks, *(task for batch in batches for task in batch.tasks))
        if any(map(self._concerned, pods)) or not countable(shape) or not all(map(self._has_its_place, batches)):
            return False
        gone = Turns(self._context, self._job, tasks, batches, self._free(shape)).gone()
        return gone is None or not self._allows([(batch.job.queue, batch.amount) for batch in gone])

    def _alone(self, task: TaskState, batch: Batch) -> bool:
        """Whether one pod gains nothing from one victim."""
        if not self._stuck(task) or not self._stuck(batch.tasks[0]):
            return False
        key = (batch.job.queue, batch.amount)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judge(task, batch)
        return verdict == FORBIDDEN or (verdict == RETURNS and self._has_its_place(batch))

    def _concerned(self, task: TaskState) -> bool:
        """Whether a rule between pods matters for it."""
        conditions = self._context.session.conditions
        return conditions is not None and conditions.concerns(task)

    def _stuck(self, task: TaskState) -> bool:
        """Whether the pod is plain and fits nowhere as things are."""
        shape = task.shape
        if self._concerned(task):
            return False
        fits = self._fits.get(shape.index)
        if fits is None:
            fits = self._fits[shape.index] = (
                not countable(shape) or self._context.placer.ranking(shape).best() is not None
            )
        return not fits

    def _free(self, shape: Shape) -> int:
        """How many pods of the shape have room as things are."""
        known = self._places.get(shape.index)
        if known is None:
            nodes = self._context.placer.ranking(shape).in_order()
            known = self._places[shape.index] = sum(node.places(shape) for node in nodes)
        return known

    def _judge(self, task: TaskState, batch: Batch) -> int:
        owner, amount, mine = batch.job.queue, batch.amount, self._job.queue
        if not self._allows([(owner, amount)]):
            return FORBIDDEN
        first = owner is not mine and not _over_limit(owner, amount) and self._comes_first(owner, amount, task)
        return RETURNS if first else OPEN

    def _comes_first(self, owner: QueueState, amount: Amount, task: TaskState) -> bool:
        """Whether the victim, once evicted, has its turn before the pod."""
        totals, request = self._context.totals, request_of([task], self._context.smallest_device)
        mine, theirs = divergence(self._job.queue, owner)
        left = [held - given for held, given in zip(theirs.allocated, amount, strict=True)]
        more = [held + wanted for held, wanted in zip(mine.allocated, request, strict=True)]
        victim = (queue_key(theirs, left, theirs.allocated, totals), theirs.index)
        return victim < (queue_key(mine, mine.allocated, more, totals), mine.index)

    def _has_its_place(self, batch: Batch) -> bool:
        """Whether nothing but the pod keeps the victim from its old place: nodes may change under who runs on them."""
        misfit = self._context.placer.rules.misfit
        for task in batch.tasks:
            node = task.node
            if node is None or misfit(task.shape, node) is not None or node.overdrawn:
                return False
            if any(node.device_overdrawn(group) for group in task.groups):
                return False
        return True


def countable(shape: Shape) -> bool:
    """Whole devices or a fraction of one, with nothing besides: what is charged is the same on every node."""
    one = shape.kind == SHARED and shape.devices == 1 and not shape.request.gpu_memory
    return (one or shape.kind == WHOLE) and not shape.extras


def plain(batch: Batch) -> bool:
    """Whether the batch is a whole gang of pods of one shape that needs all of them and has no others."""
    root, tasks = batch.job.root, batch.tasks
    first = tasks[0]
    return (
        root.leaf
        and root.topology is None
        and root.minimum == root.active == len(tasks) == len(root.tasks)
        and (len(tasks) == 1 or first.shape.kind == WHOLE)
        and all(task.shape is first.shape and task.status in SETTLED and task.leaves is None for task in tasks)
    )


def _over_limit(owner: QueueState, amount: Amount) -> bool:
    """Whether a queue holds more than its limit, so that what is taken is not given back."""
    return any(
        given and limit != UNLIMITED and limit < held
        for queue in owner.path
        for limit, held, given in zip(queue.limit, queue.allocated, amount, strict=True)
    )
