"""The working copy of a snapshot, with one log that can undo every step.

Only ``Session.move`` changes anything, so a simulation is: remember ``mark()``, move pods about, ``undo(mark)``.
"""

from agent.domain.pods import ACTIVE_USED, PodStatus
from agent.scheduler.conditions import Conditions
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import ACTIVE, JobState, TaskState
from agent.scheduler.ledger import NONE, PRESENCE, RELEASING, NodeState
from agent.scheduler.shapes import Shape

USED = tuple(status in ACTIVE_USED for status in PodStatus)
ALIVE = tuple(active or status == PodStatus.PENDING for status, active in zip(PodStatus, ACTIVE, strict=True))
"""Gated pods live but cannot be placed, so they do not count towards readiness; pods evicted only in a what-if do."""

Place = tuple[NodeState, tuple[str, ...]]
"""A node and the devices held there."""

Step = tuple[
    TaskState,
    PodStatus,
    "NodeState | None",
    tuple[str, ...],
    bool,
    "tuple[int, int, int] | None",
    tuple[str, ...],
    "Place | None",
]


class Session:
    """Everything ``plan`` works on. ``changes`` lists node indexes in the order their ledgers changed,
    ``charges`` leaf queues in the order what they hold changed; readers remember how far they have read.
    """

    __slots__ = (
        "_number",
        "changes",
        "charges",
        "conditions",
        "jobs",
        "nodes",
        "nodes_by_name",
        "queues",
        "steps",
        "tasks",
    )

    def __init__(self) -> None:
        self.nodes: list[NodeState] = []
        self.nodes_by_name: dict[str, NodeState] = {}
        self.queues: dict[str, QueueState] = {}
        self.jobs: dict[str, JobState] = {}
        self.tasks: dict[str, TaskState] = {}
        self.conditions: Conditions | None = None
        self.steps: list[Step] = []
        self._number = 0
        self.changes: list[int] = []
        self.charges: list[QueueState] = []

    def move(
        self,
        task: TaskState,
        status: PodStatus,
        node: NodeState | None,
        groups: tuple[str, ...] = (),
        virtual: bool = False,
        zones: tuple[str, ...] = (),
        leaves: Place | None = None,
    ) -> None:
        """Give a pod another state, undoably. ``leaves``: where it still is while it is promised another place."""
        self.steps.append(
            (task, task.status, task.node, task.groups, task.virtual, task.accounted, task.zones, task.leaves)
        )
        self.set(task, status, node, groups, virtual, None, zones, leaves)

    def take_number(self) -> int:
        """A number no job or task of this session has had."""
        self._number += 1
        return self._number

    def mark(self) -> int:
        return len(self.steps)

    def undo(self, mark: int) -> None:
        """Take back every move since ``mark``, newest first."""
        steps = self.steps
        while len(steps) > mark:
            self.set(*steps.pop())

    def set(
        self,
        task: TaskState,
        status: PodStatus,
        node: NodeState | None,
        groups: tuple[str, ...],
        virtual: bool = False,
        accounted: tuple[int, int, int] | None = None,
        zones: tuple[str, ...] = (),
        leaves: Place | None = None,
    ) -> None:
        """Change a pod's state and every ledger that depends on it, without logging."""
        shape, was, was_node = task.shape, task.status, task.node
        if task.leaves is not leaves:
            self._leave(shape, task.leaves, -1)
            self._leave(shape, leaves, 1)
            task.leaves = leaves
        if was_node is not None and (presence := PRESENCE[was]) != NONE:
            if self.conditions is not None:
                self.conditions.change(task, was_node, presence, -1)
            was_node.apply(shape, presence, -1, task.groups)
            self.changes.append(was_node.index)
        task.zones = zones
        if node is not None and (presence := PRESENCE[status]) != NONE:
            if self.conditions is not None:
                self.conditions.change(task, node, presence, 1)
            node.apply(shape, presence, 1, groups)
            self.changes.append(node.index)
            if accounted is None:
                accounted = shape.accounted(node.device_memory)
        self._count(task, was, status, accounted or task.accounted, virtual)
        task.status, task.node, task.groups, task.virtual = status, node, groups, virtual
        task.accounted = accounted or task.accounted

    def _leave(self, shape: Shape, place: Place | None, sign: int) -> None:
        """Book what a moving pod still holds at the place it leaves."""
        if place is not None:
            node, groups = place
            node.apply(shape, RELEASING, sign, groups)
            self.changes.append(node.index)

    def _count(
        self, task: TaskState, was: PodStatus, status: PodStatus, accounted: tuple[int, int, int], virtual: bool
    ) -> None:
        job, leaf = task.job, task.leaf
        job.version += 1
        active = ACTIVE[status] - ACTIVE[was]
        leaf.active += active
        leaf.used += USED[status] - USED[was]
        leaf.alive += (ALIVE[status] or virtual) - (ALIVE[was] or task.virtual)
        job.waiting += (status == PodStatus.PENDING) - (was == PodStatus.PENDING)
        if ACTIVE[was] and (active or accounted != task.accounted):
            self._charge(job, task.accounted, -1)
        if ACTIVE[status] and (active or accounted != task.accounted):
            self._charge(job, accounted, 1)

    def _charge(self, job: JobState, amount: tuple[int, int, int], sign: int) -> None:
        self.charges.append(job.queue)
        gpu, cpu, memory = sign * amount[0], sign * amount[1], sign * amount[2]
        for queue in job.queue.path:
            queue.version += 1
            allocated = queue.allocated
            allocated[0] += gpu
            allocated[1] += cpu
            allocated[2] += memory
            if job.nonpreemptible:
                held = queue.nonpreemptible
                held[0] += gpu
                held[1] += cpu
                held[2] += memory
