"""NUMA zones: which zones of a node a guaranteed pod would get, under the node's topology manager policy.

The node's report already lacks what its running pods hold; their zones give it back when they leave.
"""

from itertools import combinations

from agent.domain.reasons import Reason, reason
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import HELD, NONE, PIPELINED, NodeState
from agent.scheduler.shapes import Shape

SINGLE, RESTRICTED, BEST_EFFORT = "single-numa-node", "restricted", "best-effort"
GPU = "nvidia.com/gpu"
NOWHERE = 1000
"""Stands for the span of a pod that is not aligned at all."""

Amounts = dict[str, int]


def amounts_of(shape: Shape) -> Amounts:
    """What the pod needs by resource name, in the zones' units."""
    found = {"cpu": shape.cpu, "memory": shape.memory, GPU: shape.gpus}
    found.update(shape.extras)
    return {name: amount for name, amount in found.items() if amount}


class NumaNode:
    """Zones of one node: free now, and what releasing pods give back less what is promised."""

    def __init__(self, state: NodeState) -> None:
        node = state.node
        self.policy = node.numa_policy
        self.zones = [zone.id for zone in node.numa_zones]
        self.whole = [dict(zone.allocatable) for zone in node.numa_zones]
        self.idle = [dict(zone.available) for zone in node.numa_zones]
        self.coming: list[Amounts] = [{} for _ in node.numa_zones]

    def change(self, task: TaskState, presence: int, sign: int) -> None:
        """Book a pod's share of its zones."""
        for index, amounts in self._split(task):
            for name, amount in amounts.items():
                if presence != PIPELINED:
                    self.idle[index][name] = self.idle[index].get(name, 0) - sign * amount
                if presence != HELD:
                    back = -sign if presence == PIPELINED else sign
                    self.coming[index][name] = self.coming[index].get(name, 0) + back * amount

    def _split(self, task: TaskState) -> list[tuple[int, Amounts]]:
        """A pod's amounts over its zones, filled in order."""
        chosen = [self.zones.index(zone) for zone in task.zones if zone in self.zones]
        if not chosen:
            return []
        left = {name: amount for name, amount in amounts_of(task.shape).items() if name in self.whole[chosen[0]]}
        found: list[tuple[int, Amounts]] = []
        for place, index in enumerate(chosen):
            last = place == len(chosen) - 1
            part = {name: left[name] if last else min(left[name], self.whole[index].get(name, 0)) for name in left}
            left = {name: left[name] - part[name] for name in left}
            found.append((index, part))
        return found

    def choose(self, shape: Shape, *, now: bool) -> tuple[str, ...] | None:
        """Zones for the pod, the fewest and first ones; None when the policy does not admit it."""
        wanted = {name: amount for name, amount in amounts_of(shape).items() if any(name in z for z in self.whole)}
        if not wanted:
            return ()
        most = 1 if self.policy == SINGLE else len(self.zones)
        if self.policy == RESTRICTED:
            most = self._fewest_possible(wanted)
        for count in range(1, most + 1):
            for chosen in combinations(range(len(self.zones)), count):
                if all(sum(self._free(i, name, now) for i in chosen) >= amount for name, amount in wanted.items()):
                    return tuple(self.zones[index] for index in chosen)
        return () if self.policy == BEST_EFFORT else None

    def _fewest_possible(self, wanted: Amounts) -> int:
        for count in range(1, len(self.zones) + 1):
            for chosen in combinations(range(len(self.zones)), count):
                if all(sum(self.whole[i].get(name, 0) for i in chosen) >= a for name, a in wanted.items()):
                    return count
        return 0

    def _free(self, index: int, name: str, now: bool) -> int:
        idle = self.idle[index].get(name, 0)
        later = idle + self.coming[index].get(name, 0)
        return max(min(idle, later) if now else later, 0)


class Numa:
    """Zones of every node that has a policy."""

    def __init__(self, nodes: list[NodeState]) -> None:
        self._nodes = {
            node.index: NumaNode(node)
            for node in nodes
            if node.node.numa_zones and node.node.numa_policy in (SINGLE, RESTRICTED, BEST_EFFORT)
        }

    @property
    def active(self) -> bool:
        return bool(self._nodes)

    def concerns(self, task: TaskState) -> bool:
        return bool(self._nodes) and task.shape.guaranteed

    def enter(self, task: TaskState, node: NodeState, presence: int) -> None:
        """A pod of the snapshot: the node's report has it already, so give back before booking."""
        known = self._nodes.get(node.index)
        if known is not None and presence not in (NONE, PIPELINED):
            known.change(task, HELD, -1)

    def change(self, task: TaskState, node: NodeState, presence: int, sign: int) -> None:
        known = self._nodes.get(node.index)
        if known is not None and presence != NONE and task.shape.guaranteed:
            known.change(task, presence, sign)

    def zones(self, task: TaskState, node: NodeState, *, now: bool) -> tuple[str, ...]:
        """The zones it would get there; () where nothing is aligned."""
        known = self._nodes.get(node.index)
        return () if known is None or not task.shape.guaranteed else known.choose(task.shape, now=now) or ()

    def span(self, task: TaskState, node: NodeState) -> int:
        """Over how many zones it would lie; nodes with few are preferred."""
        return len(self.zones(task, node, now=False)) or NOWHERE

    def refuse(self, task: TaskState, node: NodeState, *, now: bool) -> Reason | None:
        known = self._nodes.get(node.index)
        if known is None or not task.shape.guaranteed or known.choose(task.shape, now=now) is not None:
            return None
        return reason("NumaMisfit", policy=known.policy)
