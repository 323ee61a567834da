"""Shapes: the distinct requests of a snapshot. Pods of one shape fit, cost and fail alike, so work is done once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.domain.constraints import Constraints
from agent.domain.pods import Pod, Request
from agent.domain.quantities import MILLI

NO_GPU, WHOLE, SHARED, MIG = 0, 1, 2, 3
MIG_PROFILE = re.compile(r"^nvidia\.com/mig-(\d+)g\.(\d+)gb")
"""Profiles with a suffix (1g.10gb.me) cost quota like their plain form."""

DEVICE_MEMORY_STEP = 100
"""GPU memory of a device is floored to a multiple of this many MiB; it is also what an unknown device counts as."""


def device_memory(label: int) -> int:
    """MiB of one device to reckon with, from the node's label (0 = unknown)."""
    return max(label // DEVICE_MEMORY_STEP * DEVICE_MEMORY_STEP, DEVICE_MEMORY_STEP)


def mig_slices(profile: str) -> int:
    """How many seventh-slices ("g") a MIG resource name stands for; 0 for other names."""
    match = MIG_PROFILE.match(profile)
    return int(match.group(1)) if match else 0


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One distinct request with its constraints. ``extras``: MIG profiles and extended resources as (name, count).

    ``rules``: number of its constraints among the distinct ones. ``gpus``: whole devices of the node; ``claim_gpus``:
    GPUs that device claims bring, charged like any other.
    """

    index: int
    rules: int
    request: Request
    constraints: Constraints
    kind: int
    cpu: int
    memory: int
    gpus: int
    devices: int
    extras: tuple[tuple[str, int], ...]
    best_effort: bool
    guaranteed: bool
    legacy_mig: bool
    claim_gpus: int

    def mib(self, memory: int) -> int:
        """MiB taken on each shared device of ``memory`` MiB."""
        request = self.request
        return request.gpu_memory or request.gpu_fraction * memory // MILLI

    def portion(self, memory: int) -> int:
        """Milli-GPU accounted for each shared device of ``memory`` MiB (gpu-memory is rounded up to hundredths)."""
        request = self.request
        if request.gpu_fraction:
            return request.gpu_fraction
        return -(-100 * request.gpu_memory // memory) * 10

    def accounted(self, memory: int) -> tuple[int, int, int]:
        """(milli-GPU, milli-CPU, bytes) charged to the queue on a node whose devices have ``memory`` MiB."""
        return (self.gpu_cost(memory), self.cpu, self.memory)

    def gpu_cost(self, memory: int) -> int:
        if self.kind == WHOLE:
            return (self.gpus + self.claim_gpus) * MILLI
        if self.kind == SHARED:
            return self.devices * self.portion(memory)
        if self.kind == MIG:
            return sum(mig_slices(name) * count for name, count in self.request.mig) * MILLI
        return 0


class ShapeTable:
    """Interns shapes: equal requests give the same object."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._rules: dict[Constraints, int] = {}

    def all(self) -> Iterable[Shape]:
        return self._shapes.values()

    def of(self, pod: Pod, claim_gpus: int = 0) -> Shape:
        key = (pod.request, pod.constraints, pod.qos == "Guaranteed", pod.legacy_mig, claim_gpus)
        shape = self._shapes.get(key)
        if shape is None:
            rules = self._rules.setdefault(pod.constraints, len(self._rules))
            shape = self._shapes[key] = _shape(len(self._shapes), rules, pod, claim_gpus)
        return shape


def _shape(index: int, rules: int, pod: Pod, claim_gpus: int) -> Shape:
    request = pod.request
    kind, devices = NO_GPU, 0
    if request.gpus or claim_gpus:
        kind, devices = WHOLE, request.gpus + claim_gpus
    elif request.shared:
        kind, devices = SHARED, request.gpu_devices
    elif request.mig:
        kind, devices = MIG, sum(count for _, count in request.mig)
    extras = tuple(sorted((*request.mig, *request.extended)))
    return Shape(
        index=index,
        rules=rules,
        request=request,
        constraints=pod.constraints,
        kind=kind,
        cpu=request.cpu,
        memory=request.memory,
        gpus=request.gpus,
        devices=devices,
        extras=extras,
        best_effort=not (request.cpu or request.memory or kind or extras or request.claims),
        guaranteed=pod.qos == "Guaranteed",
        legacy_mig=pod.legacy_mig,
        claim_gpus=claim_gpus,
    )
