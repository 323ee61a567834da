"""Node objects that KWOK plays: node pool ``simulated``, GPUs and the labels of GPU feature discovery. Pure."""

from __future__ import annotations

from typing import Any

from agent.wire.labels import GPU_RESOURCE, NODE_POOL, SIMULATED_NODE_POOL, SIMULATED_TAINT

GPU_PRODUCT = "NVIDIA-H100-80GB-HBM3"
GPU_MEMORY_MIB = 81559
GPU_FAMILY = "hopper"
SIMULATED_GPUS = "local.run.ai/simulated-gpus"
"""Label of every node of the local cluster whose GPUs exist in name only: all of them."""


def gpu_labels(gpus: int) -> dict[str, str]:
    """Labels of GPU feature discovery for ``gpus`` simulated devices; none for a node without."""
    if gpus == 0:
        return {}
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": GPU_PRODUCT,
        "nvidia.com/gpu.memory": str(GPU_MEMORY_MIB),
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.family": GPU_FAMILY,
        SIMULATED_GPUS: "true",
    }


def gpu_capacity(gpus: int) -> dict[str, Any]:
    """Merge patch of a node's status that gives it ``gpus`` devices."""
    amount = {GPU_RESOURCE: str(gpus)}
    return {"status": {"capacity": amount, "allocatable": amount}}


def node_name(number: int) -> str:
    return f"sim-{number:03d}"


def kwok_node(number: int, gpus: int) -> dict[str, Any]:
    """The ``number``-th simulated node (from 1): 64 cores, 512 GiB, ``gpus`` devices, tainted."""
    name = node_name(number)
    capacity = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    if gpus:
        capacity[GPU_RESOURCE] = str(gpus)
    labels = {
        "type": "kwok",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        NODE_POOL: SIMULATED_NODE_POOL,
        **gpu_labels(gpus),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            # The node-ready stage fills in conditions; kwok must not touch capacity.
            "annotations": {SIMULATED_TAINT: "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"taints": [{"key": SIMULATED_TAINT, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
