"""Metric types of the public API by level (runai-api.md section c.9), and which of them the agents measure. Pure."""

from collections.abc import Mapping, Sequence

from runai_cp.lib.errors import FieldError, Invalid

PER_GPU = "_PER_GPU"
_GPU = ("GPU_UTILIZATION", "GPU_MEMORY_USAGE_BYTES", "GPU_MEMORY_UTILIZATION")
_NIM = [
    "NIM_NUM_REQUESTS_RUNNING",
    "NIM_NUM_REQUESTS_WAITING",
    "NIM_NUM_REQUEST_MAX",
    "NIM_REQUEST_SUCCESS_TOTAL",
    "NIM_REQUEST_FAILURE_TOTAL",
    "NIM_GPU_CACHE_USAGE_PERC",
    "NIM_TIME_TO_FIRST_TOKEN_SECONDS",
    "NIM_E2E_REQUEST_LATENCY_SECONDS",
    "NIM_TIME_TO_FIRST_TOKEN_SECONDS_PERCENTILES",
    "NIM_E2E_REQUEST_LATENCY_SECONDS_PERCENTILES",
]
_PROFILING = [
    "GPU_GRAPHICS_ENGINE_ACTIVITY",
    "GPU_SM_ACTIVITY",
    "GPU_SM_OCCUPANCY",
    "GPU_TENSOR_ACTIVITY",
    "GPU_FP64_ENGINE_ACTIVITY",
    "GPU_FP32_ENGINE_ACTIVITY",
    "GPU_FP16_ENGINE_ACTIVITY",
    "GPU_MEMORY_BANDWIDTH_UTILIZATION",
    "GPU_NVLINK_TRANSMITTED_BANDWIDTH",
    "GPU_NVLINK_RECEIVED_BANDWIDTH",
    "GPU_PCIE_TRANSMITTED_BANDWIDTH",
    "GPU_PCIE_RECEIVED_BANDWIDTH",
]
_NVLINK = ("NVLINK_BANDWIDTH_TOTAL",)
_PROFILED = [name + PER_GPU for name in _PROFILING]

WORKLOAD = frozenset(
    [
        "GPU_UTILIZATION",
        "GPU_MEMORY_USAGE_BYTES",
        "GPU_MEMORY_REQUEST_BYTES",
        "CPU_USAGE_CORES",
        "CPU_REQUEST_CORES",
        "CPU_LIMIT_CORES",
        "CPU_MEMORY_USAGE_BYTES",
        "CPU_MEMORY_REQUEST_BYTES",
        "CPU_MEMORY_LIMIT_BYTES",
        "POD_COUNT",
        "RUNNING_POD_COUNT",
        "GPU_ALLOCATION",
    ]
) | {*_NIM, *_NVLINK}
POD = frozenset(
    [
        "GPU_UTILIZATION_PER_GPU",
        "GPU_UTILIZATION",
        "GPU_MEMORY_USAGE_BYTES_PER_GPU",
        "GPU_MEMORY_USAGE_BYTES",
        "CPU_USAGE_CORES",
        "CPU_MEMORY_USAGE_BYTES",
        "GPU_SWAP_MEMORY_BYTES_PER_GPU",
        "NVLINK_BANDWIDTH_TOTAL_PER_GPU",
    ]
) | {*_NIM, *_NVLINK, *_PROFILED}
NODE = frozenset(
    [
        "GPU_ALLOCATION_PER_GPU",
        "GPU_MEMORY_ALLOCATION_BYTES_PER_GPU",
        "GPU_IDLE_TIME_SECONDS_PER_GPU",
        "CPU_USAGE_CORES",
        "CPU_UTILIZATION",
        "CPU_MEMORY_USAGE_BYTES",
        "CPU_MEMORY_UTILIZATION",
        "GPU_OOMKILL_BURST_COUNT_PER_GPU",
        "GPU_OOMKILL_IDLE_COUNT_PER_GPU",
        "GPU_OOMKILL_SWAP_OUT_OF_RAM_COUNT_PER_GPU",
        "NVLINK_BANDWIDTH_TOTAL_PER_GPU",
    ]
) | {*_GPU, *(name + PER_GPU for name in _GPU), *_NVLINK, *_PROFILED}
CLUSTER = frozenset(
    [
        "TOTAL_GPU_NODES",
        "GPU_UTILIZATION",
        "GPU_UTILIZATION_DISTRIBUTION",
        "GPU_MEMORY_UTILIZATION",
        "CPU_UTILIZATION",
        "CPU_MEMORY_UTILIZATION",
        "TOTAL_GPU",
        "GPU_QUOTA",
        "ALLOCATED_GPU",
        "UNALLOCATED_GPU",
        "AVG_WORKLOAD_WAIT_TIME",
        "WORKLOADS_COUNT",
    ]
)
ORG_UNIT = frozenset(
    [
        "GPU_QUOTA",
        "CPU_QUOTA_MILLICORES",
        "CPU_MEMORY_QUOTA_MB",
        "GPU_ALLOCATION",
        "CPU_ALLOCATION_MILLICORES",
        "CPU_MEMORY_ALLOCATION_MB",
        "GPU_MEMORY_UTILIZATION",
    ]
)

UNITS: Mapping[str, str] = {"UTILIZATION": "%", "BYTES": "bytes", "CORES": "cores", "MILLICORES": "millicores"}


def chosen(text: str, allowed: frozenset[str]) -> tuple[str, ...]:
    """The types of a comma-separated ``metricType``, in order, each once. Raises ``Invalid`` naming what is unknown."""
    types = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in types if name not in allowed]
    if not types or unknown:
        message = f"unknown: {', '.join(unknown)}" if unknown else "is required"
        raise Invalid(FieldError("metricType", message, given=text, allowed=sorted(allowed)))
    return types


def require_all(types: Sequence[str], allowed: frozenset[str]) -> None:
    """As ``chosen`` for types that a caller in Python gives."""
    chosen(",".join(types), allowed)


def unit(metric: str) -> str:
    """``%``, ``bytes``, ``cores`` or "" for counts."""
    name = metric.removesuffix(PER_GPU)
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
