"""What each node has free, is getting back and has promised: the mutable mirror of one node.

A pod is *held* (it is there), *releasing* (there, but leaving) or *pipelined* (will come once room is freed).
``idle`` is what is free now; ``coming`` is what releasing pods give back minus what pipelined ones were promised, so
idle + coming is what will be free.
"""

from agent.domain.nodes import Node
from agent.domain.pods import PodStatus
from agent.scheduler.shapes import MIG, SHARED, WHOLE, Shape, device_memory

NONE, HELD, RELEASING, PIPELINED = 0, 1, 2, 3

PRESENCE: tuple[int, ...] = tuple(
    {
        PodStatus.ALLOCATED: HELD,
        PodStatus.BINDING: HELD,
        PodStatus.BOUND: HELD,
        PodStatus.RUNNING: HELD,
        PodStatus.RELEASING: RELEASING,
        PodStatus.STUCK_IN_RELEASING: HELD,
        PodStatus.PIPELINED: PIPELINED,
    }.get(status, NONE)
    for status in PodStatus
)
"""Presence on a node by pod status. What a stuck pod holds cannot be counted on to come back."""


class SharedDevice:
    """MiB of one shared GPU by presence of its pods."""

    __slots__ = ("held", "pipelined", "releasing")

    def __init__(self) -> None:
        self.held = 0
        self.releasing = 0
        self.pipelined = 0

    def device_effect(self) -> tuple[int, int]:
        """(whole devices taken from idle, whole devices added to coming) because this group exists."""
        taken = 1 if self.held or self.releasing else 0
        if self.held:
            return taken, 0
        return taken, (1 if self.releasing else 0) - (1 if self.pipelined else 0)

    @property
    def staying(self) -> bool:
        """Whether somebody will be on it, so that it can be joined."""
        return self.held > 0 or self.pipelined > 0


class NodeState:
    """One node's ledger. Whole devices, milli-CPU, bytes and pod slots as plain attributes for speed."""

    __slots__ = (
        "claimed",
        "coming_cpu",
        "coming_extra",
        "coming_gpu",
        "coming_memory",
        "coming_pods",
        "device_memory",
        "gpus",
        "groups",
        "idle_cpu",
        "idle_extra",
        "idle_gpu",
        "idle_memory",
        "idle_pods",
        "index",
        "kind",
        "name",
        "node",
        "usable",
    )

    def __init__(self, index: int, node: Node, device_claims: int = 0) -> None:
        foreign = node.foreign
        self.index = index
        self.node = node
        self.name = node.name
        self.kind = 0
        self.claimed = device_claims > 0
        self.usable = node.ready and not node.unschedulable
        self.device_memory = device_memory(node.gpu_memory)
        self.gpus = (0 if node.mig_strategy == "mixed" else node.gpus) + device_claims
        self.idle_gpu = self.gpus - foreign.gpus
        self.idle_cpu = node.cpu - foreign.cpu
        self.idle_memory = node.memory - foreign.memory
        self.idle_pods = node.max_pods - foreign.pods
        self.idle_extra: dict[str, int] = dict(node.mig)
        self.idle_extra.update(node.extended)
        for name, count in foreign.extended:
            self.idle_extra[name] = self.idle_extra.get(name, 0) - count
        self.coming_gpu = self.coming_cpu = self.coming_memory = self.coming_pods = 0
        self.coming_extra: dict[str, int] = {}
        self.groups: dict[str, SharedDevice] = {}

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def apply(self, shape: Shape, presence: int, sign: int, groups: tuple[str, ...]) -> None:
        """Add (sign 1) or remove (-1) a pod of this shape with this presence."""
        if presence != PIPELINED:
            self.idle_cpu -= sign * shape.cpu
            self.idle_memory -= sign * shape.memory
            self.idle_pods -= sign
        if presence != HELD:
            back = sign if presence == RELEASING else -sign
            self.coming_cpu += back * shape.cpu
            self.coming_memory += back * shape.memory
            self.coming_pods += back
        if shape.kind == WHOLE:
            if presence != PIPELINED:
                self.idle_gpu -= sign * shape.gpus
            if presence != HELD:
                self.coming_gpu += shape.gpus * (sign if presence == RELEASING else -sign)
        elif shape.kind == SHARED:
            self._apply_groups(shape, presence, sign, groups)
        if shape.extras:
            self._apply_extras(shape, presence, sign)

    def _apply_extras(self, shape: Shape, presence: int, sign: int) -> None:
        for name, count in shape.extras:
            if presence != PIPELINED:
                self.idle_extra[name] = self.idle_extra.get(name, 0) - sign * count
            if presence != HELD:
                back = count * (sign if presence == RELEASING else -sign)
                self.coming_extra[name] = self.coming_extra.get(name, 0) + back

    def _apply_groups(self, shape: Shape, presence: int, sign: int, groups: tuple[str, ...]) -> None:
        mib = sign * shape.mib(self.device_memory)
        for name in groups:
            device = self.groups.get(name)
            if device is None:
                device = self.groups[name] = SharedDevice()
            taken, coming = device.device_effect()
            if presence == HELD:
                device.held += mib
            elif presence == RELEASING:
                device.releasing += mib
            else:
                device.pipelined += mib
            taken_now, coming_now = device.device_effect()
            self.idle_gpu -= taken_now - taken
            self.coming_gpu += coming_now - coming
            if not (device.held or device.releasing or device.pipelined):
                del self.groups[name]

    # -- fitting ----------------------------------------------------------------------------------------------------

    def fits_idle(self, shape: Shape) -> bool:
        """Whether the pod can start now. What pipelined pods were promised is not given away."""
        if self.idle_pods < 1 or self.idle_pods + self.coming_pods < 1:
            return False
        if shape.best_effort:
            return True
        cpu, memory = shape.cpu, shape.memory
        if cpu > self.idle_cpu or memory > self.idle_memory:
            return False
        if cpu > self.idle_cpu + self.coming_cpu or memory > self.idle_memory + self.coming_memory:
            return False
        if shape.kind == WHOLE:
            if shape.gpus > self.idle_gpu or shape.gpus > self.idle_gpu + self.coming_gpu:
                return False
        elif shape.kind == SHARED and len(self.idle_devices(shape)) < shape.devices:
            return False
        idle = self.idle_extra
        return all(
            count <= idle.get(name, 0) and count <= idle.get(name, 0) + self.coming_extra.get(name, 0)
            for name, count in shape.extras
        )

    def fits_coming(self, shape: Shape) -> bool:
        """Whether the pod fits once releasing pods are gone."""
        if self.idle_pods + self.coming_pods < 1:
            return False
        if shape.best_effort:
            return True
        if shape.cpu > self.idle_cpu + self.coming_cpu or shape.memory > self.idle_memory + self.coming_memory:
            return False
        if shape.kind == WHOLE:
            if shape.gpus > self.idle_gpu + self.coming_gpu:
                return False
        elif shape.kind == SHARED and not self.coming_devices(shape):
            return False
        return all(
            count <= self.idle_extra.get(name, 0) + self.coming_extra.get(name, 0) for name, count in shape.extras
        )

    def joins_shared(self, shape: Shape) -> bool:
        """Whether a device that is shared already has room for it."""
        mib = shape.mib(self.device_memory)
        return any(
            device.staying and self.device_memory - device.held - device.pipelined >= mib
            for device in self.groups.values()
        )

    def free_gpus(self) -> int:
        """Whole devices free now or soon."""
        return self.idle_gpu + self.coming_gpu

    def places(self, shape: Shape) -> int:
        """How many pods of a shape that asks for whole devices have room, now or soon."""
        return min(
            self.idle_pods + self.coming_pods,
            (self.idle_gpu + self.coming_gpu) // shape.gpus,
            *((self.idle_cpu + self.coming_cpu) // shape.cpu for _ in range(1) if shape.cpu),
            *((self.idle_memory + self.coming_memory) // shape.memory for _ in range(1) if shape.memory),
        )

    @property
    def overdrawn(self) -> bool:
        """Whether the node will have less than nothing left of something: it shrank, or others took of it."""
        return (
            self.idle_gpu + self.coming_gpu < 0
            or self.idle_cpu + self.coming_cpu < 0
            or self.idle_memory + self.coming_memory < 0
            or self.idle_pods + self.coming_pods < 0
        )

    def device_overdrawn(self, group: str) -> bool:
        """Whether the pods that stay on a shared device hold more than it has."""
        device = self.groups.get(group)
        return device is None or device.held + device.pipelined > self.device_memory

    def idle_devices(self, shape: Shape) -> list[str]:
        """Devices on which one portion fits now: group names, then "" per whole free device (as many as needed)."""
        mib, memory = shape.mib(self.device_memory), self.device_memory
        names = [
            name
            for name, device in self.groups.items()
            if (device.held and memory - device.held - device.releasing >= mib)
            and memory - device.held - device.releasing - device.pipelined >= mib
        ]
        whole = min(self.idle_gpu, self.idle_gpu + self.coming_gpu) if mib <= memory else 0
        names.extend([""] * min(max(whole, 0), shape.devices))
        return names

    def coming_devices(self, shape: Shape) -> bool:
        """Whether enough devices have room for a portion each once releasing pods are gone."""
        mib, memory = shape.mib(self.device_memory), self.device_memory
        if mib > memory:
            return False
        joinable = sum(
            1 for device in self.groups.values() if device.staying and memory - device.held - device.pipelined >= mib
        )
        return joinable + self.free_gpus() >= shape.devices

    def serves(self, shape: Shape) -> bool:
        """MIG strategy: "single" nodes serve whole GPUs only, "mixed" ones MIG profiles only.

        Devices that are handed out by claims are not shared, and memory is not shared of devices of unknown size.
        """
        if shape.kind == SHARED and (self.claimed or (shape.request.gpu_memory and not self.node.gpu_memory)):
            return False
        strategy = self.node.mig_strategy
        if strategy == "single":
            return shape.kind in (WHOLE, 0)
        if strategy == "mixed":
            return shape.kind in (MIG, 0)
        return True
