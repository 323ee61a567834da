"""An upper bound on what could be placed, kept current by replaying ledger changes: it ends most searches.

Room of a node is its milli-GPU free now or soon, shared remainders included. If even the sum over nodes of
floor(room / smallest demand) is less than the number of pods, no simulation can place them.
"""

from collections.abc import Iterable, Mapping, Sequence

from agent.domain.quantities import MILLI
from agent.scheduler.filters import Filter
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import NodeState
from agent.scheduler.shapes import SHARED, WHOLE, Shape
from agent.scheduler.state import Session


def demand_of(shape: Shape, device_memory: int) -> int:
    """Milli-GPU that the shape surely needs on one node; 0 for what is not counted in devices (or may be shared)."""
    if shape.kind == WHOLE:
        return shape.gpus * MILLI
    return shape.gpu_cost(device_memory) if shape.kind == SHARED else 0


def room_of(node: NodeState) -> int:
    """Milli-GPU free now or soon; a shared device that stays counts with what it has left."""
    memory = node.device_memory
    left = sum(
        max(memory - device.held - device.pipelined, 0) * MILLI // memory
        for device in node.groups.values()
        if device.staying
    )
    return max(node.free_gpus(), 0) * MILLI + left


class Room:
    """Room of every node that one shape may use, with running sums for one demand."""

    def __init__(
        self, session: Session, nodes: Iterable[NodeState], shape: Shape | None, unit: int, rules: Filter
    ) -> None:
        self._session = session
        self.unit = max(unit, 1)
        self.rooms: dict[int, int] = {
            node.index: room_of(node)
            for node in nodes
            if (node.usable if shape is None else rules.misfit(shape, node) is None)
        }
        self.fits = sum(room // self.unit for room in self.rooms.values())
        self.total = sum(self.rooms.values())
        self._seen = len(session.changes)

    def catch_up(self) -> None:
        changes = self._session.changes
        if self._seen == len(changes):
            return
        for index in set(changes[self._seen :]):
            was = self.rooms.get(index)
            if was is not None:
                now = self.rooms[index] = room_of(self._session.nodes[index])
                self.fits += now // self.unit - was // self.unit
                self.total += now - was
        self._seen = len(changes)


class Promise:
    """Room plus what some victims would give back."""

    __slots__ = ("extra", "fits", "room", "total")

    def __init__(self, room: Room) -> None:
        self.room = room
        self.extra: dict[int, int] = {}
        self.fits = room.fits
        self.total = room.total

    def add(self, tasks: Iterable[TaskState]) -> None:
        """Count the devices of these victims as free."""
        rooms, unit = self.room.rooms, self.room.unit
        for task in tasks:
            node = task.node
            if node is None or node.index not in rooms or not task.accounted[0]:
                continue
            before = rooms[node.index] + self.extra.get(node.index, 0)
            self.extra[node.index] = self.extra.get(node.index, 0) + task.accounted[0]
            self.fits += (before + task.accounted[0]) // unit - before // unit
            self.total += task.accounted[0]

    def on(self, index: int) -> int:
        """Room of one node with what was promised there; -1 when the node cannot be used."""
        room = self.room.rooms.get(index, -1)
        return room if room < 0 else room + self.extra.get(index, 0)

    def with_more(self, extra: Mapping[int, int]) -> tuple[int, int]:
        """(pods that fit at most, milli-GPU in all) with yet more room by node."""
        fits, total, unit = self.fits, self.total, self.room.unit
        for index, amount in extra.items():
            before = self.on(index)
            if before >= 0:
                fits += (before + amount) // unit - before // unit
                total += amount
        return fits, total


class Wanted:
    """What the pods of a search need in devices: how many pods, the smallest demand, the sum."""

    __slots__ = ("count", "total", "unit")

    def __init__(self, tasks: Sequence[TaskState], device_memory: int) -> None:
        demands = [demand_of(task.shape, device_memory) for task in tasks]
        self.count = len(tasks)
        self.total = sum(demands)
        self.unit = min(demands, default=0)

    def possible(self, fits: int, total: int) -> bool:
        """False only when the pods surely do not fit."""
        return total >= self.total and (not self.unit or fits >= self.count)
