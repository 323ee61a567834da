"""Pods, gangs and the tree of sub-groups at work: is a gang satisfied, which pods come next, which go first.

A leaf is satisfied with ``minimum`` active pods, an inner node with ``needed`` satisfied children.
"""

from collections.abc import Iterator

from agent.domain.groups import PodGroup, Preemptibility, SubGroup, TopologyConstraint
from agent.domain.pods import ACTIVE_ALLOCATED, Pod, PodStatus
from agent.scheduler.entitlement import QueueState
from agent.scheduler.ledger import NodeState
from agent.scheduler.shapes import Shape

ACTIVE = tuple(status in ACTIVE_ALLOCATED for status in PodStatus)
"""By status: whether the pod counts as running or about to."""


class GangNode:
    """One node of the tree; a leaf has ``tasks`` (in scheduling order) and counts of them by kind."""

    __slots__ = (
        "active",
        "alive",
        "children",
        "leaf",
        "minimum",
        "name",
        "needed",
        "parent",
        "tasks",
        "topology",
        "used",
    )

    def __init__(self, spec: SubGroup, parent: "GangNode | None" = None) -> None:
        self.name = spec.name
        self.parent = parent
        self.leaf = not spec.children
        self.minimum = max(spec.min_available, 0)
        self.children = [GangNode(child, self) for child in spec.children]
        self.needed = len(self.children) if spec.min_subgroup is None else max(spec.min_subgroup, 0)
        self.topology: TopologyConstraint | None = spec.topology
        self.tasks: list[TaskState] = []
        self.active = 0
        self.used = 0
        self.alive = 0

    @property
    def constrained_below(self) -> bool:
        """Whether a sub-group has a topology rule of its own."""
        return any(child.topology is not None or child.constrained_below for child in self.children)

    @property
    def rules(self) -> object:
        """The topology rules of the tree, as a value to compare."""
        return (self.topology, tuple(child.rules for child in self.children)) if self.children else self.topology

    @property
    def ruled(self) -> bool:
        return self.topology is not None or self.constrained_below

    def holds(self, task: "TaskState") -> bool:
        """Whether the pod belongs to this part of the tree."""
        node: GangNode | None = task.leaf
        while node is not None and node is not self:
            node = node.parent
        return node is not None

    def leaves(self) -> Iterator["GangNode"]:
        if self.leaf:
            yield self
        for child in self.children:
            yield from child.leaves()

    def all_tasks(self) -> Iterator["TaskState"]:
        for leaf in self.leaves():
            yield from leaf.tasks

    # -- judgement --------------------------------------------------------------------------------------------------

    @property
    def satisfied(self) -> bool:
        if self.leaf:
            return self.active >= self.minimum
        return self.satisfied_children() >= self.needed

    def satisfied_children(self) -> int:
        return sum(1 for child in self.children if child.satisfied)

    @property
    def ready(self) -> bool:
        """Whether enough pods exist (alive and not gated) to satisfy it."""
        if self.leaf:
            return self.alive >= self.minimum
        return sum(1 for child in self.children if child.ready) >= self.needed

    @property
    def started(self) -> bool:
        return self.active > 0 if self.leaf else any(leaf.active for leaf in self.leaves())

    @property
    def short(self) -> bool:
        """Whether what is there (with what is leaving) is under the minimum; the rule of stale gangs."""
        if self.leaf:
            return self.used < self.minimum
        return sum(1 for child in self.children if not child.short and child.any_used) < self._present_needed()

    def _present_needed(self) -> int:
        optional = sum(1 for child in self.children if not child.short and not child.any_used)
        return max(self.needed - optional, 0)

    @property
    def any_used(self) -> bool:
        return any(leaf.used for leaf in self.leaves())

    @property
    def elastic(self) -> bool:
        """Whether it can live with fewer pods than it has."""
        if self.leaf:
            return len(self.tasks) > self.minimum
        return self.needed < len(self.children) or any(child.elastic for child in self.children)

    @property
    def above_minimum(self) -> bool:
        """Whether some part has more than it needs."""
        if self.leaf:
            return self.active > self.minimum
        return self.satisfied_children() > self.needed or any(child.above_minimum for child in self.children)

    # -- orders -----------------------------------------------------------------------------------------------------

    def order(self) -> tuple[object, ...]:
        """Sort key among siblings: what is below its minimum first, then the least filled, then by name."""
        have, least = (self.active, self.minimum) if self.leaf else (self.satisfied_children(), self.needed)
        if have < least:
            return (0, 0, 0.0, self.name)
        if least > 0:
            return (1, 0, have / least, self.name)
        return (1, 1, float(have), self.name)

    def next_tasks(self) -> list["TaskState"]:
        """The pods to place next: what the minimum lacks, or one more pod (one more sub-group) beyond it."""
        if self.leaf:
            return self._next_of_leaf()
        ordered = sorted(self.children, key=GangNode.order)
        missing = self.needed - self.satisfied_children()
        if missing <= 0:
            return next((tasks for child in ordered if child.ready and (tasks := child.next_tasks())), [])
        chosen = [child for child in ordered if not child.satisfied and child.ready][:missing]
        return [task for child in chosen for task in child.next_tasks()]

    def _next_of_leaf(self) -> list["TaskState"]:
        wanted = max(self.minimum - self.active, 1)
        found = []
        for task in self.tasks:
            if task.placeable:
                found.append(task)
                if len(found) == wanted:
                    break
        return found

    def next_victims(self) -> tuple[list["TaskState"], bool]:
        """The pods to take first, and whether the gang would still have others: surplus pods one by one, then surplus
        sub-groups whole, then everything."""
        surplus = self._surplus()
        if surplus:
            return surplus, True
        return [task for task in self.all_tasks() if task.active], False

    def _surplus(self) -> list["TaskState"]:
        if self.leaf:
            if self.active <= self.minimum or self.active <= 1:
                return []
            return next(([task] for task in reversed(self.tasks) if task.active), [])
        ordered = sorted(self.children, key=GangNode.order, reverse=True)
        for child in ordered:
            if surplus := child._surplus():
                return surplus
        held = [child for child in ordered if child.started]
        full = [child for child in held if child.satisfied]
        if len(held) > 1 and len(full) > self.needed:
            return [task for task in held[0].all_tasks() if task.active]
        return []


class TaskState:
    """A pod in the plan. ``accounted``: what its queue is charged while it counts; ``virtual``: evicted only here.

    ``leaves``: the node and devices it still holds while it is promised another place.
    """

    __slots__ = (
        "accounted",
        "groups",
        "index",
        "job",
        "leaf",
        "leaves",
        "node",
        "pod",
        "shape",
        "status",
        "virtual",
        "zones",
    )

    def __init__(self, index: int, pod: Pod, shape: Shape, job: "JobState", leaf: GangNode) -> None:
        self.index = index
        self.pod = pod
        self.shape = shape
        self.job = job
        self.leaf = leaf
        self.status = PodStatus.DELETED
        self.node: NodeState | None = None
        self.groups: tuple[str, ...] = ()
        self.accounted = (0, 0, 0)
        self.virtual = False
        self.leaves: tuple[NodeState, tuple[str, ...]] | None = None
        self.zones: tuple[str, ...] = ()

    @property
    def placeable(self) -> bool:
        return self.status == PodStatus.PENDING or (self.virtual and self.status == PodStatus.RELEASING)

    @property
    def returns_as(self) -> PodStatus:
        """Its status when an eviction is taken back: as it was in the cluster, or as this plan had placed it."""
        return PodStatus.ALLOCATED if self.pod.status == PodStatus.PENDING else self.pod.status

    @property
    def active(self) -> bool:
        return ACTIVE[self.status]

    @property
    def needs_conditions(self) -> bool:
        """Whether a rule between pods, or a claim, a port or a zone may matter for it."""
        rules, shape = self.shape.constraints, self.shape
        return bool(
            rules.pod_affinity
            or rules.pod_anti_affinity
            or rules.preferred_pods
            or rules.host_ports
            or shape.request.claims
            or shape.legacy_mig
        )

    @property
    def order(self) -> tuple[object, ...]:
        pod = self.pod
        return (-pod.leader, -pod.task_priority, pod.created, pod.uid)


class JobState:
    """A pod group in the plan."""

    __slots__ = (
        "age",
        "group",
        "index",
        "key",
        "nonpreemptible",
        "preemptible",
        "priority",
        "queue",
        "root",
        "semi",
        "sorted_by",
        "tasks",
        "version",
        "waiting",
    )

    def __init__(self, index: int, group: PodGroup, queue: QueueState) -> None:
        self.index = index
        self.key = group.key
        self.queue = queue
        self.preemptible = group.preemptibility is not Preemptibility.NON_PREEMPTIBLE
        self.semi = group.preemptibility is Preemptibility.SEMI_PREEMPTIBLE
        self.nonpreemptible = not self.preemptible
        self.root = GangNode(group.root)
        self.version = 0
        self.sorted_by: tuple[int, tuple[object, ...]] = (-1, ())
        self.regroup(group)
        self.tasks: list[TaskState] = []
        self.waiting = 0

    def regroup(self, group: PodGroup) -> None:
        """Take over what may change of a pod group while its gang stays the same."""
        self.group = group
        self.priority = group.priority
        self.age = (group.created, group.uid or group.key)
        self.version += 1
