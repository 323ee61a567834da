"""Conditions that depend on who else is on a node: pod affinity, host ports, NUMA zones, device claims, old MIG pods.

Only pods that such a condition concerns take the slower path that asks node by node; all others never come here.
"""

from collections import Counter
from collections.abc import Iterable

from agent.domain.reasons import Reason, reason
from agent.scheduler.affinity import Affinity
from agent.scheduler.deviceclaims import DeviceClaims
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import NONE, NodeState
from agent.scheduler.numa import Numa
from agent.scheduler.shapes import MIG

Port = tuple[str, str, int]
ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - an address to compare with, nothing is bound


class Ports:
    """Host ports in use by node."""

    def __init__(self, nodes: Iterable[NodeState]) -> None:
        self._used: dict[int, Counter[Port]] = {
            node.index: Counter(node.node.foreign.host_ports) for node in nodes if node.node.foreign.host_ports
        }

    def change(self, task: TaskState, node: NodeState, sign: int) -> None:
        ports = task.shape.constraints.host_ports
        if ports:
            used = self._used.setdefault(node.index, Counter())
            for port in ports:
                used[port] += sign

    def refuse(self, task: TaskState, node: NodeState) -> Reason | None:
        used = self._used.get(node.index)
        if not used:
            return None
        for protocol, address, port in task.shape.constraints.host_ports:
            for (other_protocol, other_address, other), count in used.items():
                if count > 0 and (protocol, port) == (other_protocol, other) and _clash(address, other_address):
                    return reason("Ports", port=port)
        return None


def _clash(left: str, right: str) -> bool:
    return left == right or left in ANY_ADDRESS or right in ANY_ADDRESS


class Conditions:
    """All of them for one pool; told by the session about every pod that comes or goes."""

    def __init__(self, tasks: Iterable[TaskState], nodes: list[NodeState], claims: DeviceClaims | None) -> None:
        tasks = list(tasks)
        self.affinity = Affinity(tasks)
        self.numa = Numa(nodes)
        self.claims = claims
        self._ports = Ports(nodes)
        self._with_ports = any(task.shape.constraints.host_ports for task in tasks)
        self._legacy: Counter[int] = Counter()
        self._with_legacy = any(task.shape.legacy_mig for task in tasks)

    @property
    def active(self) -> bool:
        return bool(
            self.affinity.active or self.numa.active or self.claims is not None or self._with_ports or self._with_legacy
        )

    def knows(self, task: TaskState) -> bool:
        """Whether every rule that a new pod brings is reckoned with already."""
        shape = task.shape
        return (
            self.affinity.knows(task)
            and (self._with_ports or not shape.constraints.host_ports)
            and (self._with_legacy or not shape.legacy_mig)
            and not shape.request.claims
        )

    def concerns(self, task: TaskState) -> bool:
        shape = task.shape
        return bool(
            (self.affinity.active and self.affinity.concerns(task))
            or self.numa.concerns(task)
            or shape.request.claims
            or shape.constraints.host_ports
            or (self._with_legacy and (shape.kind == MIG or shape.legacy_mig))
        )

    def change(self, task: TaskState, node: NodeState, presence: int, sign: int) -> None:
        """A pod is on the node with this presence (1), or is not any more (-1)."""
        if presence == NONE:
            return
        if self.affinity.active:
            self.affinity.change(task, node, presence, sign)
        if self.numa.active:
            self.numa.change(task, node, presence, sign)
        if self.claims and task.shape.request.claims:
            self.claims.change(task, node, presence, sign)
        self._ports.change(task, node, sign)
        if task.shape.legacy_mig:
            self._legacy[node.index] += sign

    def refuse(self, task: TaskState, node: NodeState, *, now: bool = False) -> Reason | None:
        """Why the pod may not go to the node (that it otherwise fits on), or None."""
        shape = task.shape
        if shape.legacy_mig or (shape.kind == MIG and self._legacy[node.index] > 0):
            return reason("LegacyMig")
        return (
            (self.affinity.refuse(task, node, now=now) if self.affinity.active else None)
            or self._ports.refuse(task, node)
            or (self.claims.refuse(task, node, now=now) if self.claims and shape.request.claims else None)
            or self.numa.refuse(task, node, now=now)
        )
