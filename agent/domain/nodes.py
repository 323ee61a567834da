"""Supply: nodes with their GPUs and NUMA zones, node pools, topologies and dynamic device claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.domain.constraints import Taint

DEFAULT_POOL = "default"


@dataclass(frozen=True, slots=True)
class Usage:
    """What pods of other schedulers take on a node: milli-CPU, bytes, whole GPUs, pod slots, extended resources."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    pods: int = 0
    extended: tuple[tuple[str, int], ...] = ()
    host_ports: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class NumaZone:
    """One zone of a node: resource name -> milli-CPU, bytes or count that can be given / is free now."""

    id: str
    allocatable: Mapping[str, int]
    available: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the scheduler sees it.

    ``cpu`` milli-CPU, ``memory`` bytes, ``gpus`` whole devices (healthy ones), ``gpu_memory`` MiB of one device
    (0 = unknown), ``max_pods`` pod slots. ``mig``: (resource name, count) per profile; ``mig_strategy`` "", "single"
    or "mixed". ``extended``: any other countable resource. ``foreign``: what pods of other schedulers take.
    A node that is not ``ready`` or is ``unschedulable`` (cordoned) receives nothing; only a not-ready one
    leaves the totals.
    """

    name: str
    pool: str = DEFAULT_POOL
    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    gpu_memory: int = 0
    max_pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    taints: tuple[Taint, ...] = ()
    mig: tuple[tuple[str, int], ...] = ()
    mig_strategy: str = ""
    extended: tuple[tuple[str, int], ...] = ()
    foreign: Usage = Usage()
    ready: bool = True
    unschedulable: bool = False
    numa_policy: str = ""
    numa_scope: str = ""
    numa_zones: tuple[NumaZone, ...] = ()


@dataclass(frozen=True, slots=True)
class NodePool:
    """A set of nodes scheduled on its own. Placement is "binpack" or "spread", for GPU and for CPU-only pods.

    ``device_placement``: which devices of a node shared requests take ("" = as ``gpu_placement``). ``join_shared``:
    whether a share prefers nodes with a shared device that has room (None = when GPU pods are bin-packed).
    """

    name: str = DEFAULT_POOL
    gpu_placement: str = "binpack"
    cpu_placement: str = "binpack"
    device_placement: str = ""
    join_shared: bool | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """Levels are node label keys, widest first, e.g. ("zone", "rack", "kubernetes.io/hostname")."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceSlice:
    """Devices of one class that a driver offers on a node (Kubernetes dynamic resource allocation, as counts)."""

    node: str
    device_class: str
    count: int
    driver: str = ""


@dataclass(frozen=True, slots=True)
class DeviceClaim:
    """A claim for ``count`` devices of a class; ``node`` set = allocated there, with the named ``devices``.

    ``reserved_for``: uids of the pods that hold it. ``template``: made for one pod from a template. ``queue``: its
    queue label, which a claim for GPUs that pods share must have.
    """

    key: str
    device_class: str
    count: int = 1
    node: str = ""
    devices: tuple[str, ...] = ()
    reserved_for: tuple[str, ...] = ()
    queue: str = ""
    template: bool = False
