"""Demand, one pod at a time: its state, what it asks for, and what it holds."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.domain.constraints import UNCONSTRAINED, Constraints


class PodStatus(enum.IntEnum):
    """States of a pod in a snapshot (the scheduler's view, not Kubernetes' phase)."""

    PENDING = 0
    GATED = 1
    ALLOCATED = 2
    PIPELINED = 3
    BINDING = 4
    BOUND = 5
    RUNNING = 6
    RELEASING = 7
    STUCK_IN_RELEASING = 8
    SUCCEEDED = 9
    FAILED = 10
    DELETED = 11
    UNKNOWN = 12

    @property
    def label(self) -> str:
        """``Running``, ``StuckInReleasing`` …"""
        return "".join(word.capitalize() for word in self.name.split("_"))


ALLOCATED = frozenset({PodStatus.ALLOCATED, PodStatus.BOUND, PodStatus.BINDING, PodStatus.RUNNING})
ACTIVE_ALLOCATED = ALLOCATED | {PodStatus.PIPELINED}
ACTIVE_USED = ACTIVE_ALLOCATED | {PodStatus.RELEASING, PodStatus.STUCK_IN_RELEASING}
ALIVE = ACTIVE_ALLOCATED | {PodStatus.PENDING, PodStatus.GATED}

STUCK_AFTER = 120_000_000_000
"""Nanoseconds past its deletion time after which a releasing pod counts as stuck."""


def status_of(
    phase: str,
    *,
    node: str = "",
    deleted_at: int | None = None,
    binding: bool = False,
    gated: bool = False,
    now: int = 0,
) -> PodStatus:
    """The state of a pod from Kubernetes' facts.

    ``phase`` is ``status.phase``; ``deleted_at`` the deletionTimestamp in nanoseconds (None = not being deleted);
    ``binding`` true while a bind of ours is on its way; ``gated`` when it has schedulingGates.
    """
    if phase == "Running":
        if deleted_at is None:
            return PodStatus.RUNNING
        return PodStatus.STUCK_IN_RELEASING if now > deleted_at + STUCK_AFTER else PodStatus.RELEASING
    if phase == "Pending":
        if deleted_at is not None:
            return PodStatus.RELEASING
        if node:
            return PodStatus.BOUND
        if binding:
            return PodStatus.BINDING
        return PodStatus.GATED if gated else PodStatus.PENDING
    return {"Succeeded": PodStatus.SUCCEEDED, "Failed": PodStatus.FAILED}.get(phase, PodStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Request:
    """What one pod asks for.

    ``cpu`` milli-CPU, ``memory`` bytes. GPUs in exactly one of four ways: ``gpus`` whole devices; ``gpu_fraction``
    milli-GPU (1..1000) on each of ``gpu_devices`` devices; ``gpu_memory`` MiB on each of ``gpu_devices`` devices; or
    ``mig`` (resource name, count) pairs. ``claims``: keys ("namespace/name") of device claims. ``extended``: other
    countable resources as (name, count).
    """

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    gpu_fraction: int = 0
    gpu_memory: int = 0
    gpu_devices: int = 1
    mig: tuple[tuple[str, int], ...] = ()
    extended: tuple[tuple[str, int], ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether it shares devices with other pods."""
        return self.gpu_fraction > 0 or self.gpu_memory > 0


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. ``group`` is the key ("namespace/name") of its pod group; ``subgroup`` its leaf ("" = the only one).

    ``node`` and ``gpu_groups`` say what it holds (one group name per shared device). ``task_priority`` and ``leader``
    (larger first: masters, launchers, heads) order pods inside a sub-group, then ``created`` (ns), then uid.
    ``labels`` matter for other pods' affinities only. ``qos`` is "", "Guaranteed", "Burstable" or "BestEffort".
    """

    uid: str
    namespace: str
    name: str
    group: str
    status: PodStatus = PodStatus.PENDING
    request: Request = Request()
    constraints: Constraints = UNCONSTRAINED
    node: str = ""
    gpu_groups: tuple[str, ...] = ()
    subgroup: str = ""
    task_priority: int = 0
    leader: int = 0
    created: int = 0
    nominated_node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    qos: str = ""
    numa_zones: tuple[str, ...] = ()
    legacy_mig: bool = False

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"
