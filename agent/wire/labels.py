"""Labels, annotations and names that both programs write and read on Kubernetes objects."""

NAMESPACE = "runai"
"""Namespace of the agent itself."""

PROJECT_NAMESPACE_PREFIX = "runai-"

# Written on everything that came down the link; the agent deletes nothing that lacks both.
CLUSTER_ID = "run.ai/cluster-id"
MANAGED_BY = "run.ai/managed-by"
MANAGED_BY_CONTROL_PLANE = "control-plane"
MANAGED_BY_OPERATOR = "operator"
DESIRED_KEY = "run.ai/desired-key"
DESIRED_REV = "run.ai/desired-rev"

# On namespaces of projects.
PROJECT = "run.ai/project"
QUEUE_OF_NAMESPACE = "runai/queue"

# On workloads and what is made for them.
WORKLOAD_ID = "run.ai/workload-id"
WORKLOAD_NAME = "run.ai/workload-name"
WORKLOAD_TYPE = "run.ai/workload-type"
SUBMITTED_BY = "run.ai/submitted-by"
REPLICA_INDEX = "run.ai/replica-index"
ATTEMPT = "run.ai/attempt"
REVISION = "run.ai/revision"
NODE_TYPE = "run.ai/type"
"""On nodes: their kind, for node types of workloads and projects."""
GPU_IDLE_SINCE = "run.ai/gpu-idle-since"
"""Annotation on pods: since when none of their GPUs has done anything; absent while they work."""

GPU_MEMORY_EXCESS = "run.ai/gpu-memory-excess"
"""Annotation on pods: a sentence, while more GPU memory is used than was asked for."""

# KAI's words, understood and written by the scheduler (kai.md section 1.3).
QUEUE = "kai.scheduler/queue"
NODE_POOL = "kai.scheduler/node-pool"
PREEMPTIBILITY = "kai.scheduler/preemptibility"
POD_GROUP_NAME = "pod-group-name"
SUBGROUP_NAME = "kai.scheduler/subgroup-name"
GPU_FRACTION = "gpu-fraction"
GPU_MEMORY = "gpu-memory"
GPU_FRACTION_LIMIT = "gpu-fraction-limit"
GPU_MEMORY_LIMIT = "gpu-memory-limit"
"""What a pod may use of each device beyond its request, while nobody else needs it."""
GPU_FRACTION_DEVICES = "gpu-fraction-num-devices"
GPU_GROUP = "runai-gpu-group"
RECEIVED_RESOURCE_TYPE = "received-resource-type"
GPU_CONTAINER = "gpu-fraction-container-name"

# Shared devices: one reservation pod holds each towards the kubelet, a ConfigMap tells the pod which one it got.
RESERVATION_NAMESPACE = "runai-reservation"
RESERVED_DEVICE = "run.ai/reserve_for_gpu_index"
"""On reservation pods: the device they hold, as index or UUID."""
SHARED_GPU_CONFIG_MAP = "runai/shared-gpu-configmap"
"""On pods: the ConfigMap from which their environment takes NVIDIA_VISIBLE_DEVICES and GPU_PORTION."""
GPU_DEVICES = "run.ai/gpu-devices"
"""On bound pods: the shared devices they use, joined by commas."""
SIMULATED_GPUS = "local.run.ai/simulated-gpus"
"""On nodes whose GPUs exist in name only: nobody there can say which device a pod was given, so we number them."""

GPU_RESOURCE = "nvidia.com/gpu"
MIG_PREFIX = "nvidia.com/mig-"
SCHEDULER_NAMES = ("runai-scheduler", "kai-scheduler")
DEFAULT_SCHEDULER_NAME = "runai-scheduler"

DEFAULT_NODE_POOL = "default"
SIMULATED_NODE_POOL = "simulated"
SIMULATED_TAINT = "kwok.x-k8s.io/node"
"""Nodes with this taint are KWOK's: nothing runs there, and every screen must say so."""


def queue_name(project: str, pool: str = DEFAULT_NODE_POOL) -> str:
    """Queue of a project in a node pool: ``p``, or ``p.POOL`` outside the default pool."""
    return project if pool == DEFAULT_NODE_POOL else f"{project}.{pool}"


def department_queue_name(department: str, pool: str = DEFAULT_NODE_POOL) -> str:
    """Queue of a department in a node pool, always three labels so that no project's queue can have its name."""
    return f"{department}.{pool}.department"


def project_namespace(project: str) -> str:
    return PROJECT_NAMESPACE_PREFIX + project
