"""The specs of our own kinds, as frozen dataclasses whose JSON *is* the ``spec`` of the custom resource.

The control plane compiles a request into one; the link carries it; the agent applies it; the operator reads it.
Names in JSON are lowerCamelCase (``codec.to_dict``); absent and None mean the same and are left out.
Units: GPU in milli-GPU (1000 = one device), CPU in milli-cores, memory in bytes, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUP_VERSION = "run.ai/v1"
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class ResourceQuota:
    """Entitlement to one resource of one node pool. ``deserved`` and ``limit`` are -1 for unlimited."""

    deserved: int = 0
    limit: int = UNLIMITED
    over_quota_weight: int = 1000
    """Share of what is left over, in thousandths: 1000 is weight 1; 0 takes leftovers only after everybody else."""


@dataclass(frozen=True, slots=True)
class PoolQuota:
    node_pool: str
    gpu: ResourceQuota = ResourceQuota()
    cpu: ResourceQuota = ResourceQuota(deserved=UNLIMITED)
    memory: ResourceQuota = ResourceQuota(deserved=UNLIMITED)
    priority: int = 100


@dataclass(frozen=True, slots=True)
class DepartmentSpec:
    """``Department`` (cluster-scoped): becomes one parent Queue per node pool."""

    id: str
    display_name: str
    quotas: tuple[PoolQuota, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectSpec:
    """``Project`` (cluster-scoped): becomes a namespace, one Queue per node pool and RoleBindings."""

    id: str
    display_name: str
    namespace: str
    department: str
    quotas: tuple[PoolQuota, ...] = ()
    default_node_pools: tuple[str, ...] = ()
    enforce_runai_scheduler: bool = True
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AccessRuleSpec:
    """``AccessRule`` (cluster-scoped): becomes RoleBindings in the namespaces of the projects in its scope."""

    id: str
    subject_kind: str
    """``User``, ``Group`` or ``ServiceAccount`` (an application of the control plane)."""
    subject: str
    role: str
    """``administrator``, ``researcher`` or ``viewer``: maps to ClusterRole ``runai-<role>``."""
    projects: tuple[str, ...] = ()
    all_projects: bool = False


@dataclass(frozen=True, slots=True)
class NodePoolSpec:
    """``NodePool`` (cluster-scoped): the nodes whose label ``label_key`` has ``label_value``."""

    id: str
    label_key: str
    label_value: str
    placement_gpu: str = "binpack"
    placement_cpu: str = "binpack"


@dataclass(frozen=True, slots=True)
class EnvVar:
    name: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Toleration:
    key: str | None = None
    operator: str = "Exists"
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Compute:
    """What one pod asks for. Either whole devices (``gpu_devices``) or, with a portion or memory, that much of each."""

    gpu_devices: int = 0
    gpu_portion_milli: int | None = None
    """Portion of each device, 1..999; whole devices leave it out."""
    gpu_memory_mib: int | None = None
    """MiB of each device; excludes ``gpu_portion_milli``."""
    cpu_milli: int | None = None
    cpu_limit_milli: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """``Workload`` (in a project's namespace): one kind for training, workspace, distributed and inference."""

    type: str
    image: str
    display_name: str | None = None
    """The name the user sees, where the object's own name had to differ."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    environment: tuple[EnvVar, ...] = ()
    image_pull_policy: str | None = None
    compute: Compute = Compute()
    workers: int | None = None
    """Pods of a gang (distributed): all start or none. None: not a gang."""
    framework: str | None = None
    completions: int | None = None
    parallelism: int | None = None
    node_pools: tuple[str, ...] = ()
    node_type: str | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str | None = None
    """``very-low`` 10, ``low`` 25, ``medium-low`` 40, ``train`` 50, ``build-preemptible`` 75, ``build`` 100,
    ``inference`` 125: see ``PRIORITIES``. Default ``train``."""
    preemptibility: str | None = None
    """``preemptible`` or ``non-preemptible``; None: by priority class (below 100 is preemptible)."""
    restart_policy: str | None = None
    backoff_limit: int | None = None
    """Failed attempts before the workload is Failed; default 6."""
    ttl_seconds_after_finished: int | None = None
    termination_grace_period_seconds: int | None = None
    suspend: bool = False
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


PRIORITIES: dict[str, int] = {
    "very-low": 10,
    "low": 25,
    "medium-low": 40,
    "train": 50,
    "medium": 60,
    "build-preemptible": 75,
    "medium-high": 80,
    "high": 90,
    "build": 100,
    "inference": 125,
    "very-high": 130,
}
"""Priority classes by name. A workload is preemptible below 100 unless it says otherwise (kai.md section 1.3)."""

DEFAULT_PRIORITY_CLASS = "train"
FRAMEWORKS = ("pytorch", "tf", "tensorflow", "mpi", "xgboost", "jax")
WORKLOAD_TYPES = ("training", "workspace", "distributed", "inference")
DEFAULT_BACKOFF_LIMIT = 6
