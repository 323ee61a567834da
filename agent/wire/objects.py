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
class SchedulingRules:
    """How long workloads of a project may run, and do nothing with their GPUs; None is for ever. Inference has none."""

    training_time_limit_seconds: int | None = None
    training_idle_limit_seconds: int | None = None
    workspace_time_limit_seconds: int | None = None
    workspace_idle_limit_seconds: int | None = None
    """Of workspaces that cannot be preempted; others have the next."""
    preemptible_workspace_idle_limit_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """Values of node label ``run.ai/type`` where workloads of a project may run; empty: anywhere."""

    training: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()

    def of(self, workload_type: str) -> tuple[str, ...]:
        """For a type of workload; distributed ones are trainings, and nothing is said about inference."""
        return {"workspace": self.workspace, "inference": ()}.get(workload_type, self.training)


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
    scheduling_rules: SchedulingRules | None = None
    node_types: NodeTypes | None = None
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets of the namespace with which the images of all its pods are pulled."""


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
    secret: str | None = None
    """Name of a Secret of the project; with ``key`` the value comes from there."""
    config_map: str | None = None
    key: str | None = None
    field_path: str | None = None
    """A field of the pod, such as ``status.podIP``."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the container that others may reach through a Service named like the workload."""

    container: int
    service_type: str = "ClusterIP"
    """``ClusterIP``, ``NodePort`` or ``LoadBalancer``."""
    external: int | None = None
    """Port of the Service (of the node for NodePort); None: as in the container."""
    name: str | None = None
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A volume claim that the workload brings. ``ephemeral``: it goes with the workload; else it stays."""

    size_mib: int
    storage_class: str | None = None
    """None: the cluster's default."""
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted at ``path``. ``kind``: ``pvc``, ``hostPath``, ``nfs``, ``configMap``, ``secret``, ``emptyDir``,
    ``git`` (cloned before the start) or ``s3`` (copied before the start)."""

    kind: str
    path: str
    name: str | None = None
    """Claim, ConfigMap or Secret."""
    server: str | None = None
    source: str | None = None
    """Path on the host or NFS server, URL of a git repository, bucket of S3."""
    revision: str | None = None
    """Branch, tag or commit."""
    secret: str | None = None
    """Secret with credentials: ``username`` and ``password`` for git, ``AccessKeyId`` and ``SecretKey`` for S3."""
    endpoint: str | None = None
    sub_path: str | None = None
    read_only: bool = False
    size_mib: int | None = None
    claim: NewClaim | None = None
    """``pvc``: made where there is none of the name. None: one that exists."""
    image: str | None = None
    """Of the container that clones or copies; None: a common one."""


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """Replicas of an inference workload, by the load per replica. ``threshold``: requests in progress (concurrency),
    requests a second (throughput) or percent of the GPU (gpu-utilization) that one replica should carry."""

    min_replicas: int = 1
    max_replicas: int = 1
    metric: str | None = None
    threshold: int = 1
    scale_down_delay_seconds: int = 60
    scale_to_zero_retention_seconds: int = 60
    """After so long without a request the last replica goes, when ``min_replicas`` is 0."""


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
    gpu_portion_limit_milli: int | None = None
    """It may use up to so much of each device while nobody else needs it, 1..1000; the request alone is accounted."""
    gpu_memory_limit_mib: int | None = None
    """The same in MiB, where the request is in MiB."""
    cpu_milli: int | None = None
    cpu_limit_milli: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    extended_resources: dict[str, int] | None = None
    """Other countable resources by name, such as MIG slices (``nvidia.com/mig-1g.10gb``) and network devices."""


@dataclass(frozen=True, slots=True)
class Security:
    """As whom containers run and what they may; None: as the image and the cluster have it."""

    run_as_uid: int | None = None
    run_as_gid: int | None = None
    """Of the files in volumes too."""
    supplemental_groups: tuple[int, ...] = ()
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    capabilities: tuple[str, ...] = ()
    """Added ones, without ``CAP_``."""
    seccomp_profile_type: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP request that is answered by 200 to 399 when the pod can take requests."""

    port: int
    path: str = "/"
    scheme: str | None = None
    host: str | None = None
    initial_delay_seconds: int | None = None
    period_seconds: int | None = None
    timeout_seconds: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """What the first pod of a gang (master, chief, launcher) has different from the others; None: as the others."""

    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: tuple[EnvVar, ...] = ()
    compute: Compute | None = None


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
    master: RoleSpec | None = None
    min_replicas: int | None = None
    """Elastic gang: it starts with so many pods and goes on with more up to ``workers``."""
    slots_per_worker: int | None = None
    """MPI: processes of a pod in the host file; None: one a GPU."""
    ssh_auth_mount_path: str | None = None
    """MPI over ssh: where keys of this workload are mounted (``.ssh`` in the home of the image's user). Workers without
    a command run ``sshd``, and the launcher begins when all of them let it in. None: no ssh."""
    clean_pod_policy: str | None = None
    """Pods left when a distributed workload ends: ``None`` keeps those that run, ``Running`` (default) deletes them,
    ``All`` deletes finished ones too."""
    ports: tuple[Port, ...] = ()
    storage: tuple[Mount, ...] = ()
    autoscaling: Autoscaling | None = None
    time_limit_seconds: int | None = None
    """It fails when it has run for so long."""
    idle_gpu_limit_seconds: int | None = None
    """It fails when none of its GPUs did anything for so long."""
    image_pull_secrets: tuple[str, ...] = ()
    shared_memory_mib: int | None = None
    """Size of ``/dev/shm``."""
    readiness_path: str | None = None
    """HTTP path on the first port that answers 200 when a pod can take requests."""
    readiness: Probe | None = None
    """The same with times of one's own; excludes ``readiness_path``."""
    security: Security | None = None
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
METRICS = ("concurrency", "throughput", "gpu-utilization")
ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
MOUNT_KINDS = ("pvc", "hostPath", "nfs", "configMap", "secret", "emptyDir", "git", "s3")
SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
CLEAN_POD_POLICIES = ("None", "Running", "All")
WORKLOAD_TYPES = ("training", "workspace", "distributed", "inference")
SECCOMP_PROFILES = ("RuntimeDefault", "Unconfined")
CAPABILITIES = frozenset(
    [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "SETGID",
        "SETFCAP",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "SYSLOG",
        "WAKE_ALARM",
    ]
)
DEFAULT_BACKOFF_LIMIT = 6
