"""What a container asks for where nobody said: CPU and memory by the GPUs that it gets."""

from __future__ import annotations

CPU_PER_GPU_MILLI = 100
MEMORY_PER_GPU_MIB = 100


def requests_for(
    gpu_milli: int, cpu_per_gpu_milli: int = CPU_PER_GPU_MILLI, memory_per_gpu_mib: int = MEMORY_PER_GPU_MIB
) -> dict[str, str]:
    """CPU and memory requests of ``gpu_milli`` thousandths of a device; none without a GPU, and none of what the
    cluster's configuration says 0 of."""
    if gpu_milli <= 0:
        return {}
    found = {}
    if cpu_per_gpu_milli:
        found["cpu"] = f"{max(1, cpu_per_gpu_milli * gpu_milli // 1000)}m"
    if memory_per_gpu_mib:
        found["memory"] = f"{max(1, memory_per_gpu_mib * gpu_milli // 1000)}Mi"
    return found
