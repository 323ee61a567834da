"""Telemetry of nodes: one number now, of all the actor may see, or by cluster, node pool and node. From rows."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.models import Node
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.telemetry import answer, choice, grouped, groups_of

Row = dict[str, Any]
_READY = {"Ready"}
TYPES: dict[str, Callable[[Row], float]] = {
    "READY_GPU_NODES": lambda row: row["gpu_count"] > 0 and row["status"] in _READY,
    "READY_GPUS": lambda row: row["gpu_allocatable_milli"] / 1000 if row["status"] in _READY else 0,
    "TOTAL_GPU_NODES": lambda row: row["gpu_count"] > 0,
    "TOTAL_GPUS": lambda row: row["gpu_count"],
    "FREE_GPUS": lambda row: max(row["gpu_allocatable_milli"] - row["gpu_allocated_milli"], 0) // 1000,
    "ALLOCATED_GPUS": lambda row: row["gpu_allocated_milli"] / 1000,
    "FULLY_FREE_GPU_NODES": lambda row: row["gpu_count"] > 0 and row["gpu_allocated_milli"] == 0,
    "TOTAL_CPU_CORES": lambda row: row["cpu_allocatable_milli"] / 1000,
    "ALLOCATED_CPU_CORES": lambda row: row["cpu_allocated_milli"] / 1000,
    "TOTAL_GPU_MEMORY_BYTES": lambda row: (row["gpu_memory_mib"] or 0) * row["gpu_count"] * (1 << 20),
    "TOTAL_CPU_MEMORY_BYTES": lambda row: row["memory_allocatable_bytes"],
    "ALLOCATED_CPU_MEMORY_BYTES": lambda row: row["memory_allocated_bytes"],
}
"""What the nodes' reports say. What must be measured over time is in the metrics."""
MEASURED = "it is measured over time, and not in the nodes' reports; ask the metrics of the node or the cluster"
DECLINED = dict.fromkeys(
    ("IDLE_ALLOCATED_GPUS", "USED_CPU_CORES", "USED_GPU_MEMORY_BYTES", "USED_CPU_MEMORY_BYTES"), MEASURED
)
GROUPS = {"ClusterId": "cluster_id", "Nodepool": "node_pool", "Node": "name"}
COLUMNS = (
    "gpu_count", "status", "gpu_allocatable_milli", "gpu_allocated_milli", "cpu_allocatable_milli",
    "cpu_allocated_milli", "gpu_memory_mib", "memory_allocatable_bytes", "memory_allocated_bytes",
)  # fmt: skip


class NodesTelemetryView(ApiView):
    allow = {"GET": Action.NODE_VIEW}

    def get(self, request: Request) -> Response:
        kind = choice(request, "telemetryType", TYPES, DECLINED)
        keys = groups_of(request, GROUPS)
        where = Q()
        if cluster := request.query_params.get("clusterId"):
            where &= Q(cluster_id=cluster_filter(cluster))
        if pool := request.query_params.get("nodepoolName"):
            where &= Q(node_pool=pool)
        rows = Node.objects.visible_to(self.actor).filter(where).values(*COLUMNS, *set(GROUPS.values()))
        return answer(kind, grouped(rows, {key: GROUPS[key] for key in keys}, TYPES[kind]))


def cluster_filter(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(FieldError("clusterId", "must be the uuid of a cluster", text)) from error
