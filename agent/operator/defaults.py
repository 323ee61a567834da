"""What a container asks for where nobody said: CPU and memory by the GPUs that it gets."""

from __future__ import annotations

CPU_PER_GPU_MILLI = 100
MEMORY_PER_GPU_MIB = 100


def requests_for(gpu_milli: int) -> dict[str, str]:
    """CPU and memory requests of ``gpu_milli`` thousandths of a device; none without a GPU."""
    if gpu_milli <= 0:
        return {}
    return {
        "cpu": f"{max(1, CPU_PER_GPU_MILLI * gpu_milli // 1000)}m",
        "memory": f"{max(1, MEMORY_PER_GPU_MIB * gpu_milli // 1000)}Mi",
    }
