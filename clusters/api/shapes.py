"""Rows of the clusters room as JSON of the public contract."""

from collections.abc import Sequence
from typing import Any

from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.skew import own_version, skew
from clusters.states import ClusterStatus
from link.services import DesiredStatus, Liveness
from runai_cp.lib.renderers import timestamp

PLATFORMS = {"vanilla", "openshift", "rke", "gke", "aks", "eks"}
NODE_STATUSES = {"Ready", "NotReady", "Unknown"}
Json = dict[str, Any]


def cluster(row: Cluster, status: ClusterStatus, alive: Liveness | None, tenant_id: int, *, full: bool = True) -> Json:
    """``full`` adds conditions, operands and dependencies."""
    shape: Json = {
        "uuid": str(row.pk),
        "tenantId": tenant_id,
        "name": row.name,
        "domain": row.domain or None,
        "version": row.agent_version or None,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": None,
        "deleteRequestedAt": timestamp(row.delete_requested_at),
        "location": row.location,
        "safeMode": row.safe_mode,
        "lastLiveness": timestamp(alive.last_seen if alive else None),
        "status": {"state": status.state.value},
    }
    if full:
        shape["status"] |= _details(row, status)
    return shape


def _details(row: Cluster, status: ClusterStatus) -> Json:
    gap = skew(row.agent_version, own_version())
    details: Json = {
        "conditions": [_condition(item) for item in row.conditions if item.get("lastTransitionTime")],
        "operands": {item["name"]: _operand(item) for item in row.roles},
        "dependencies": {
            "required": {item["name"]: _dependency(item) for item in row.dependencies if item.get("required")},
            "optional": {item["name"]: _dependency(item) for item in row.dependencies if not item.get("required")},
        },
        "message": status.cause,
        "remedy": status.remedy,
        "since": timestamp(status.since),
        "versionSkew": {"kind": gap.kind, "message": gap.sentence},
    }
    if row.kubernetes_version:
        platform = row.platform if row.platform in PLATFORMS else "vanilla"
        details["platform"] = {"type": platform, "kubeVersion": row.kubernetes_version}
    return details


def _condition(item: Json) -> Json:
    return {
        "type": item["type"],
        "status": item["status"],
        "reason": item.get("reason") or "Reported",
        "message": item.get("message", ""),
        "lastTransitionTime": item["lastTransitionTime"],
    }


def _operand(item: Json) -> Json:
    message = item.get("message")
    found: Json = {"ready": bool(item.get("healthy")), "reasons": [message] if message else []}
    return found | ({"lastTransitionTime": item["since"]} if item.get("since") else {})


def _dependency(item: Json) -> Json:
    message = item.get("message") or item.get("remedy") or ""
    return {"available": bool(item.get("available"))} | ({"reason": message} if message else {})


def node(row: Node) -> Json:
    shape: Json = {
        "id": str(row.uid),
        "name": row.name,
        "status": row.status if row.status in NODE_STATUSES else "Unknown",
        "conditions": [
            {"type": item["type"], "reason": item.get("reason") or "Reported", "message": item.get("message", "")}
            for item in row.conditions
        ],
        "taints": [item for item in row.taints if item.get("key") and item.get("effect")],
        "nodePool": row.node_pool,
        "createdAt": timestamp(row.node_created_at),
        "updatedAt": timestamp(row.updated_at),
        "clusterUuid": str(row.cluster_id),
        "gpuInfo": {"gpuType": row.gpu_type, "gpuCount": row.gpu_count} if row.gpu_count else None,
    }
    return shape | {
        "simulated": row.simulated,
        "unschedulable": row.unschedulable,
        "gpuAllocatable": row.gpu_allocatable_milli / 1000,
        "gpuAllocated": row.gpu_allocated_milli / 1000,
        "gpuDevices": row.devices,
        "cpuAllocatableMillicores": row.cpu_allocatable_milli,
        "cpuAllocatedMillicores": row.cpu_allocated_milli,
        "memoryAllocatableBytes": row.memory_allocatable_bytes,
        "memoryAllocatedBytes": row.memory_allocated_bytes,
        "pods": row.pods,
    }


_MESSAGES = {
    "Empty": "No node belongs to it.",
    "Unschedulable": "None of its nodes is ready.",
    "Deleting": "Its nodes go back to the node pool default; then its quotas end.",
}


def node_pool(row: NodePool, nodes: list[str], documents: Sequence[DesiredStatus], tenant_id: int) -> Json:
    """``row`` from ``with_phase``; ``nodes``: names of the pool's nodes; ``documents``: what became of its document."""
    placement = {"gpu": row.placement_gpu, "cpu": row.placement_cpu}
    problem = next((item.error for item in documents if item.error), "")
    waiting = any(not item.applied for item in documents) and row.phase != "Deleting"
    message = problem or ("The cluster has not taken the last change yet." if waiting else "")
    return {
        "id": str(row.pk),
        "name": row.name,
        "labelKey": row.label_key,
        "labelValue": row.label_value,
        "clusterId": str(row.cluster_id),
        "clusterName": row.cluster.name,
        "tenantId": tenant_id,
        "isDefault": row.is_default,
        "placementStrategy": placement,
        "schedulingConfiguration": {"placementStrategy": placement},
        "overProvisioningRatio": 1,
        "gpuNetworkAccelerationDetection": "Auto",
        "networkTopologyId": str(row.network_topology_id) if row.network_topology_id else None,
        "networkTopologyName": row.network_topology.name if row.network_topology else None,
        "phase": row.phase,
        "phaseMessage": message or _MESSAGES.get(row.phase, ""),
        "status": {
            "nodes": nodes,
            "labelKey": row.label_key,
            "labelValue": row.label_value,
            "conditions": [_applied(problem, waiting)],
        },
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedBy": row.updated_by or row.created_by,
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": None,
    }


def _applied(problem: str, waiting: bool) -> Json:
    reason = "Refused" if problem else "Waiting" if waiting else "Applied"
    return {
        "type": "Applied",
        "status": "True" if reason == "Applied" else "False",
        "reason": reason,
        "message": problem,
    }


def topology(row: NetworkTopology, tenant_id: int) -> Json:
    """``row`` from ``listed``."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "levels": row.levels,
        "clusterId": str(row.cluster_id),
        "tenantId": tenant_id,
        "source": row.source,
        "phase": row.phase,
        "nodePools": [pool.name for pool in row.node_pools.all()],
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
    }
