"""What the agent tells the control plane about the cluster: the trimmed shape of every reported object.

Each state item carries one of these as JSON (``codec``). They hold what a screen shows and nothing secret: no
environment values, no managed fields. Times are RFC 3339 UTC strings as Kubernetes gave them. Units as in ``objects``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.wire.phases import Phase


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One device of a node: how many milli-GPU of it are allocated, and to which pods (``namespace/name``)."""

    index: int
    allocated_milli: int = 0
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeReport:
    name: str
    uid: str
    node_pool: str
    status: str
    """``Ready``, ``NotReady`` or ``Unknown``."""
    created_at: str
    simulated: bool = False
    unschedulable: bool = False
    gpu_type: str | None = None
    gpu_memory_mib: int | None = None
    gpu_count: int = 0
    gpu_allocatable_milli: int = 0
    gpu_allocated_milli: int = 0
    devices: tuple[GpuDevice, ...] = ()
    cpu_allocatable_milli: int = 0
    cpu_allocated_milli: int = 0
    memory_allocatable_bytes: int = 0
    memory_allocated_bytes: int = 0
    pods: int = 0
    conditions: tuple[Condition, ...] = ()
    taints: tuple[dict[str, str], ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    kubelet_version: str | None = None


@dataclass(frozen=True, slots=True)
class PodReport:
    name: str
    namespace: str
    uid: str
    workload_id: str | None
    """``run.ai/workload-id`` of the pod's workload, if it has one."""
    created_at: str
    phase: str
    """The pod's own phase: Pending, Running, Succeeded, Failed, Unknown."""
    workload_name: str | None = None
    node: str | None = None
    node_pool: str | None = None
    simulated: bool = False
    ip: str | None = None
    attempt: int = 0
    replica_index: int = 0
    containers: tuple[str, ...] = ()
    image: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    deleting: bool = False
    gpu_milli: int = 0
    """Milli-GPU this pod holds over all its devices."""
    gpu_devices: tuple[int, ...] = ()
    cpu_milli: int = 0
    memory_bytes: int = 0
    pod_group: str | None = None


@dataclass(frozen=True, slots=True)
class ReasonReport:
    """Why something waits, as data: ``agent.domain.reasons`` makes the sentence from code and numbers."""

    code: str
    message: str
    node_pool: str | None = None
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """The status of a ``Workload`` object, with enough of its spec to show one that kubectl made."""

    id: str
    """``run.ai/workload-id`` where the control plane made it, else the object's own uid."""
    name: str
    namespace: str
    uid: str
    created_at: str
    generation: int
    spec: dict[str, object]
    """The object's spec with the values of environment variables left out."""
    phase: Phase
    message: str
    """The status sentence, numbers included."""
    managed: bool = False
    """True: it came down the link, and its spec is the control plane's to change."""
    submitted_by: str | None = None
    reasons: tuple[ReasonReport, ...] = ()
    conditions: tuple[Condition, ...] = ()
    desired_pods: int = 0
    running_pods: int = 0
    ready_pods: int = 0
    failed_attempts: int = 0
    allocated_gpu_milli: int = 0
    node_pools: tuple[str, ...] = ()
    """Pools its pods are placed in now."""
    started_at: str | None = None
    completed_at: str | None = None
    phase_since: str | None = None
    observed_generation: int = 0
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class ProjectReport:
    name: str
    namespace: str
    phase: str
    """``Creating``, ``Ready``, ``NotReady`` or ``Deleting``."""
    message: str = ""
    queues: tuple[QueueReport, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueReport:
    """Status of one Queue: what it holds, in milli-GPU, milli-cores and bytes."""

    name: str
    node_pool: str
    allocated_gpu_milli: int = 0
    allocated_non_preemptible_gpu_milli: int = 0
    requested_gpu_milli: int = 0
    fair_share_gpu_milli: int | None = None
    allocated_cpu_milli: int = 0
    allocated_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class EventReport:
    uid: str
    namespace: str
    kind: str
    name: str
    object_uid: str
    type: str
    """``Normal`` or ``Warning``."""
    reason: str
    message: str
    count: int
    first_at: str
    last_at: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class RoleHealth:
    name: str
    """``link``, ``operator``, ``scheduler`` or ``metrics``."""
    healthy: bool
    message: str = ""
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    name: str
    required: bool
    available: bool
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """One per cluster: versions, health of the roles and what is missing."""

    agent_version: str
    kubernetes_version: str
    platform: str = "vanilla"
    runs_as: str = "deployment"
    """``deployment`` in namespace runai, or ``process`` on the local machine."""
    roles: tuple[RoleHealth, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    conditions: tuple[Condition, ...] = ()
    node_pools: tuple[str, ...] = ()


STATE_KINDS: dict[str, str] = {
    "Node": "inventory",
    "Cluster": "cluster",
    "Project": "projects",
    "Workload": "workloads",
    "Pod": "workloads",
    "Event": "events",
}
"""Kind of a state item → topic of the inbox it lands in."""
