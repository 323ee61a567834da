"""Where a pod goes: per shape, the candidate nodes in order of score, kept current by replaying ledger changes.

Scores compare part by part, most important first: nominated node, preferred pod affinity, preferred topology, joining a
shared GPU, being able to start now, preferred node affinity, CPU-only pods on CPU-only nodes, then bin-packing or
spreading, then the node's name. A node's key changes only when its ledger does, so each shape keeps a heap and no pod
ever scans all nodes.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.domain.pods import PodStatus
from agent.scheduler.capacity import over_capacity
from agent.scheduler.conditions import Conditions
from agent.scheduler.devices import choose_devices
from agent.scheduler.filters import Filter
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import NodeState
from agent.scheduler.shapes import NO_GPU, SHARED, Shape
from agent.scheduler.state import Session

NodeKey = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Strategy:
    """Spread (True) or bin-pack: GPU pods over nodes, CPU-only pods over nodes, shares over the devices of a node.

    ``join_shared``: a node where a shared device has room beats every other for a share.
    """

    gpu_spread: bool = False
    cpu_spread: bool = False
    device_spread: bool = False
    join_shared: bool = True


class Ranking:
    """The nodes a shape fits on, best first. ``bonus``: extra score by node index (preferred topology domains)."""

    def __init__(
        self,
        session: Session,
        shape: Shape,
        nodes: Iterable[NodeState],
        strategy: Strategy,
        rules: Filter,
        bonus: Mapping[int, float] | None = None,
    ) -> None:
        self._session = session
        self._shape = shape
        self._strategy = strategy
        self._rules = rules
        self._bonus = bonus or {}
        self._heap: list[tuple[NodeKey, int]] = []
        self._current: dict[int, NodeKey | None] = {}
        self._seen = len(session.changes)
        for node in nodes:
            if rules.misfit(shape, node) is None:
                key = self._key(node)
                self._current[node.index] = key
                if key is not None:
                    self._heap.append((key, node.index))
        heapq.heapify(self._heap)

    def best(self) -> NodeState | None:
        """The best node the shape fits on now or soon, or None."""
        self._catch_up()
        heap, current = self._heap, self._current
        while heap:
            key, index = heap[0]
            if current[index] is key:
                return self._session.nodes[index]
            heapq.heappop(heap)
        return None

    def in_order(self) -> list[NodeState]:
        """All nodes it fits on, best first; for shapes whose choice needs a further test per node."""
        self._catch_up()
        found = sorted((key, index) for index, key in self._current.items() if key is not None)
        return [self._session.nodes[index] for _, index in found]

    def _catch_up(self) -> None:
        changes = self._session.changes
        if self._seen == len(changes):
            return
        for index in set(changes[self._seen :]):
            if index in self._current:
                key = self._key(self._session.nodes[index])
                self._current[index] = key
                if key is not None:
                    heapq.heappush(self._heap, (key, index))
        self._seen = len(changes)

    def _key(self, node: NodeState) -> NodeKey | None:
        shape = self._shape
        now = node.fits_idle(shape)
        if not now and not node.fits_coming(shape):
            return None
        strategy = self._strategy
        joins = shape.kind == SHARED and strategy.join_shared and node.joins_shared(shape)
        if shape.kind == NO_GPU:
            free, total, spread = node.idle_cpu + node.coming_cpu, node.node.cpu, strategy.cpu_spread
        else:
            free, total, spread = node.idle_gpu + node.coming_gpu, node.gpus, strategy.gpu_spread
        return (
            -self._bonus.get(node.index, 0),
            not joins,
            not now,
            -self._rules.preference(shape, node),
            shape.kind == NO_GPU and node.gpus > 0,
            (-free / total if total else 0.0) if spread else free,
            node.index,
        )


class Scope:
    """A set of nodes to place a gang in, with extra scores by node index. Lives as long as the attempt."""

    def __init__(self, nodes: list[NodeState], bonus: Mapping[int, float] | None = None) -> None:
        self.nodes = nodes
        self.members = {node.index for node in nodes}
        self.bonus = bonus
        self._rankings: dict[int, Ranking] = {}

    def ranking(self, placer: "Placer", shape: Shape) -> Ranking:
        found = self._rankings.get(shape.index)
        if found is None:
            found = Ranking(placer.session, shape, self.nodes, placer.strategy, placer.rules, self.bonus)
            self._rankings[shape.index] = found
        return found


class Placer:
    """Places single pods; owns the rankings of one plan. Node indexes follow node names, so ties go by name.

    ``uneven``: devices differ in memory, so that device memory is not the same part of each.
    """

    def __init__(self, session: Session, nodes: list[NodeState], strategy: Strategy, rules: Filter) -> None:
        self.session = session
        self.nodes = nodes
        self.rules = rules
        self.strategy = strategy
        self._rankings: dict[int, Ranking] = {}
        self.uneven = len({node.device_memory for node in nodes if node.gpus}) > 1

    def ranking(self, shape: Shape) -> Ranking:
        found = self._rankings.get(shape.index)
        if found is None:
            found = Ranking(self.session, shape, self.nodes, self.strategy, self.rules)
            self._rankings[shape.index] = found
        return found

    def place(self, task: TaskState, *, wait_only: bool = False, scope: Scope | None = None) -> bool:
        """Give the task a node: allocated when it can start now, else pipelined. False when nothing fits.

        ``scope``: the only nodes to consider (a topology domain), with its own scores; None = all of the pool.
        """
        conditions = self.session.conditions
        ranking = self.ranking(task.shape) if scope is None else scope.ranking(self, task.shape)
        if conditions is not None and conditions.concerns(task):
            return self._place_with_care(task, ranking, conditions, wait_only)
        nominated = self._nominated(task, scope)
        if self.uneven and task.shape.request.gpu_memory:
            nodes = ([nominated] if nominated is not None else []) + ranking.in_order()
            return any(self.affordable(task, node) and self.put(task, node, wait_only=wait_only) for node in nodes)
        node = nominated or ranking.best()
        return node is not None and self.put(task, node, wait_only=wait_only)

    def _place_with_care(self, task: TaskState, ranking: Ranking, conditions: Conditions, wait_only: bool) -> bool:
        """Node by node, for pods whose place depends on who else is there."""
        nodes = ranking.in_order()
        shape = task.shape
        if conditions.numa.concerns(task):
            nodes.sort(
                key=lambda node: (self._opens(shape, node), not node.fits_idle(shape), conditions.numa.span(task, node))
            )
        if task.shape.constraints.preferred_pods:
            nodes.sort(key=lambda node: -conditions.affinity.preference(task, node))
        for node in nodes:
            if (
                conditions.refuse(task, node) is None
                and self.affordable(task, node)
                and self.put(task, node, wait_only=wait_only)
            ):
                return True
        return False

    def affordable(self, task: TaskState, node: NodeState) -> bool:
        """Whether its queues may hold what it costs there: device memory is a larger part of a smaller device."""
        if not (self.uneven and task.shape.request.gpu_memory):
            return True
        return over_capacity(task.job, task.shape.accounted(node.device_memory)) is None

    def _opens(self, shape: Shape, node: NodeState) -> bool:
        """Whether it would not join a device that is shared already."""
        return not (shape.kind == SHARED and self.strategy.join_shared and node.joins_shared(shape))

    def _nominated(self, task: TaskState, scope: Scope | None) -> NodeState | None:
        node = self.session.nodes_by_name.get(task.pod.nominated_node) if task.pod.nominated_node else None
        if node is None or self.rules.misfit(task.shape, node) is not None:
            return None
        if scope is not None and node.index not in scope.members:
            return None
        return node if node.fits_coming(task.shape) else None

    def put_back(self, task: TaskState) -> bool:
        """Take back the eviction of a pod if its own node still has its room."""
        node, conditions = task.node, self.session.conditions
        if node is None or not node.fits_coming(task.shape) or not self.affordable(task, node):
            return False
        if conditions is not None and conditions.concerns(task) and conditions.refuse(task, node) is not None:
            return False
        return self.put(task, node, wait_only=True, home=True)

    def put(self, task: TaskState, node: NodeState, *, wait_only: bool = False, home: bool = False) -> bool:
        """Place the task on this very node, which is known to fit it now or soon."""
        shape, conditions = task.shape, self.session.conditions
        now = not wait_only and node.fits_idle(shape)
        groups: tuple[str, ...] = ()
        zones: tuple[str, ...] = ()
        if shape.kind == SHARED:
            chosen = choose_devices(task, node, spread=self.strategy.device_spread, home=home)
            if chosen is None:
                return False
            groups, ready = chosen
            now = now and ready
        if conditions is not None and conditions.concerns(task):
            now = now and conditions.refuse(task, node, now=True) is None
            zones = conditions.numa.zones(task, node, now=now)
        if task.virtual and node is task.node and sorted(groups) == sorted(task.groups) and zones == task.zones:
            self.session.move(task, task.returns_as, node, task.groups, False, zones)
        else:
            status = PodStatus.ALLOCATED if now else PodStatus.PIPELINED
            leaves = (task.node, task.groups) if task.virtual and task.node is not None else None
            self.session.move(task, status, node, groups, False, zones, leaves)
        return True
