"""The lists of clusters, nodes, node pools and network topologies: columns, filters and acts."""

from typing import Any

from clusters.models import Node
from runai_cp.lib.listing import Field, Listing
from runai_cp.lib.tables import Bulk, Column, FilterOn, Short, Table

CELLS = "clusters/cells"
YES_NO = (("true", "Yes"), ("false", "No"))


def node_word(node: Node) -> str:
    """The word of the status vocabulary."""
    if node.status != "Ready":
        return {"NotReady": "Not ready"}.get(node.status, "Unknown")
    return "Cordoned" if node.unschedulable else "Ready"


CLUSTERS_TABLE = Table(
    key="clusters",
    noun="cluster,clusters",
    listing=Listing(
        fields={
            "name": Field("scope__name"),
            "nodes": Field("node_count", int, filterable=False),
            "gpus": Field("gpu_allocatable_milli", int, filterable=False),
            "allocated": Field("gpu_allocated_milli", int, filterable=False),
            "location": Field("location"),
            "domain": Field("domain"),
            "agent": Field("agent_version"),
            "kubernetes": Field("kubernetes_version"),
            "platform": Field("platform"),
            "safeMode": Field("safe_mode", bool),
            "createdBy": Field("created_by"),
            "created": Field("created_at", filterable=False),
        },
        search_paths=("scope__name", "domain", "location"),
        default_sort=("created_at",),
    ),
    placeholder="Name or place contains",
    row_name=lambda row: row.name,
    mark=lambda row: row.status.state,
    columns=(
        Column("name", "Cluster", lambda row: row.name, f"{CELLS}/cluster.html", "name", extra="w-name", fixed=True),
        Column("state", "Status", lambda row: row.status.title, f"{CELLS}/state.html", extra="w-status now"),
        Column("allocated", "GPUs allocated", lambda row: row.gpu_allocated_milli / 1000, f"{CELLS}/supply.html",
               "allocated", "desc", "w-meter"),
        Column("nodes", "Nodes", lambda row: row.node_count if row.reported_at else None, "", "nodes", "desc", "num"),
        Column("agent", "Agent", lambda row: row.agent_version, sort="agent"),
        Column("kubernetes", "Kubernetes", lambda row: row.kubernetes_version, sort="kubernetes"),
        Column("since", "Since", lambda row: row.status.since, f"{CELLS}/since.html", extra="num"),
        Column("gpus", "GPUs", lambda row: row.gpu_allocatable_milli / 1000, "", "gpus", "desc", "num", hidden=True),
        Column("location", "Place", lambda row: row.location, sort="location", hidden=True),
        Column("domain", "Domain", lambda row: row.domain, sort="domain", extra="mono", hidden=True),
        Column("platform", "Platform", lambda row: row.platform, sort="platform", hidden=True),
        Column("safeMode", "Safe mode", lambda row: row.safe_mode, sort="safeMode", hidden=True),
        Column("cause", "What is wrong", lambda row: row.status.cause, extra="w-text", hidden=True),
        Column("createdBy", "Made by", lambda row: row.created_by, sort="createdBy", hidden=True),
        Column("created", "Made", lambda row: row.created_at, sort="created", start="desc", extra="num", hidden=True),
        Column("id", "Id", lambda row: str(row.pk), extra="mono", hidden=True),
    ),
    filters=(
        FilterOn("safeMode", "Safe mode", YES_NO),
        FilterOn("location", "Place", operator="=@"),
        FilterOn("agent", "Agent", operator="=^"),
        FilterOn("kubernetes", "Kubernetes", operator="=^"),
        FilterOn("platform", "Platform", operator="=@"),
        FilterOn("createdBy", "Made by", operator="=@"),
    ),
)  # fmt: skip
SAFE_ON = Bulk("safe-mode", "Safe mode", "lock", "What is asked here then changes nothing in them; they run on.")
SAFE_OFF = Bulk("end-safe-mode", "End safe mode", "play", "Orders reach them again.")
CLUSTERS_DELETE = Bulk("delete", "Delete", "trash", "What came to them from here is taken back first.", asks=True)

NODES_TABLE = Table(
    key="nodes",
    noun="node,nodes",
    listing=Listing(
        fields={
            "name": Field("name"),
            "status": Field("status"),
            "cordoned": Field("unschedulable", bool),
            "simulated": Field("simulated", bool),
            "pool": Field("node_pool"),
            "cluster": Field("cluster__scope__name"),
            "gpuType": Field("gpu_type"),
            "gpus": Field("gpu_count", int),
            "allocated": Field("gpu_allocated_milli", int, filterable=False),
            "cpu": Field("cpu_allocated_milli", int, filterable=False),
            "memory": Field("memory_allocated_bytes", int, filterable=False),
            "pods": Field("pods", int),
            "kubelet": Field("kubelet_version"),
            "created": Field("node_created_at", filterable=False),
        },
        search_paths=("name",),
        default_sort=("name",),
    ),
    placeholder="Node name contains",
    row_name=lambda row: row.name,
    mark=lambda row: f"{node_word(row)} {row.gpu_allocated_milli}",
    columns=(
        Column("name", "Node", lambda row: row.name, f"{CELLS}/node.html", "name", fixed=True),
        Column("status", "Status", node_word, f"{CELLS}/node_status.html", "status"),
        Column("gpus", "GPUs, one cell each", lambda row: row.gpu_count, f"{CELLS}/gpus.html", "gpus", "desc"),
        Column("allocated", "Allocated", lambda row: row.gpu_allocated_milli / 1000, f"{CELLS}/node_gpus.html",
               "allocated", "desc", "num now"),
        Column("cpu", "CPU, cores", lambda row: row.cpu_allocated_milli / 1000, f"{CELLS}/node_cpu.html", "cpu", "desc",
               "num"),
        Column("memory", "Memory", lambda row: row.memory_allocated_bytes, f"{CELLS}/node_memory.html", "memory",
               "desc", "num"),
        Column("pods", "Pods", lambda row: row.pods, sort="pods", start="desc", extra="num"),
        Column("pool", "Pool", lambda row: row.node_pool, f"{CELLS}/pool_of.html", "pool"),
        Column("cluster", "Cluster", lambda row: row.cluster.name, sort="cluster", hidden=True),
        Column("gpuType", "GPU type", lambda row: row.gpu_type, sort="gpuType", hidden=True),
        Column("gpuMemory", "GPU memory, MiB", lambda row: row.gpu_memory_mib, extra="num", hidden=True),
        Column("taints", "Taints", lambda row: [f"{t.get('key')}={t.get('value', '')}" for t in row.taints],
               extra="w-text", hidden=True),
        Column("kubelet", "Kubelet", lambda row: row.kubelet_version, sort="kubelet", hidden=True),
        Column("simulated", "Simulated", lambda row: row.simulated, sort="simulated", hidden=True),
        Column("created", "Since", lambda row: row.node_created_at, sort="created", start="desc", extra="num",
               hidden=True),
        Column("uid", "UID", lambda row: str(row.uid), extra="mono", hidden=True),
    ),
    filters=(
        FilterOn("status", "Status", (("Ready", "Ready"), ("NotReady", "Not ready"), ("Unknown", "Unknown"))),
        FilterOn("cordoned", "Cordoned", YES_NO),
        FilterOn("simulated", "Simulated", YES_NO),
        FilterOn("pool", "Pool", operator="=@"),
        FilterOn("gpuType", "GPU type", operator="=@"),
        FilterOn("cluster", "Cluster", operator="=@"),
        FilterOn("kubelet", "Kubelet", operator="=@"),
    ),
    shorts=(Short("pool", "pool"),),
)  # fmt: skip

NODE_POOLS_TABLE = Table(
    key="node-pools",
    noun="node pool,node pools",
    listing=Listing(
        fields={
            "name": Field("name"),
            "phase": Field("phase"),
            "cluster": Field("cluster__scope__name"),
            "label": Field("label_key"),
            "placementGpu": Field("placement_gpu"),
            "placementCpu": Field("placement_cpu"),
            "topology": Field("network_topology__name"),
            "createdBy": Field("created_by"),
            "created": Field("created_at", filterable=False),
        },
        search_paths=("name",),
        default_sort=("cluster_id", "pk"),
    ),
    placeholder="Node pool name contains",
    row_name=lambda row: row.name,
    mark=lambda row: f"{row.phase} {row.supply.get('nodes', 0)}",
    columns=(
        Column("name", "Node pool", lambda row: row.name, f"{CELLS}/pool.html", "name", extra="w-name", fixed=True),
        Column("phase", "Status", lambda row: row.phase, f"{CELLS}/pool_phase.html", "phase", extra="w-status now"),
        Column("allocated", "GPUs allocated", lambda row: row.supply.get("gpu_allocated_milli", 0) / 1000,
               f"{CELLS}/pool_supply.html", extra="w-meter"),
        Column("nodes", "Nodes", lambda row: row.supply.get("nodes", 0), f"{CELLS}/pool_nodes.html", extra="num"),
        Column("label", "Node label", lambda row: f"{row.label_key}={row.label_value}", f"{CELLS}/pool_label.html",
               "label"),
        Column("placement", "Placement", lambda row: f"GPU {row.placement_gpu}, CPU {row.placement_cpu}",
               f"{CELLS}/pool_placement.html", "placementGpu"),
        Column("topology", "Network topology", lambda row: row.network_topology.name if row.network_topology else "",
               f"{CELLS}/pool_topology.html", "topology"),
        Column("gpus", "GPUs", lambda row: row.supply.get("gpu_allocatable_milli", 0) / 1000, extra="num",
               hidden=True),
        Column("cluster", "Cluster", lambda row: row.cluster.name, sort="cluster", hidden=True),
        Column("createdBy", "Made by", lambda row: row.created_by, sort="createdBy", hidden=True),
        Column("created", "Since", lambda row: row.created_at, sort="created", start="desc", extra="num", hidden=True),
        Column("id", "Id", lambda row: row.pk, extra="num", hidden=True),
        Column("edit", "Change", lambda row: row.pk, f"{CELLS}/pool_edit.html", extra="c-edit", fixed=True,
               page_only=True),
    ),
    filters=(
        FilterOn("phase", "Status", tuple((word, word) for word in ("Ready", "Empty", "Unschedulable", "Deleting"))),
        FilterOn("placementGpu", "GPU placement", (("binpack", "Bin-pack"), ("spread", "Spread"))),
        FilterOn("cluster", "Cluster", operator="=@"),
        FilterOn("label", "Node label", operator="=@"),
        FilterOn("topology", "Network topology", operator="=@"),
        FilterOn("createdBy", "Made by", operator="=@"),
    ),
)  # fmt: skip
NODE_POOLS_DELETE = Bulk(
    "delete", "Delete", "trash", "Their nodes go back to the node pool default; then their quotas end.", asks=True
)


def _pools_of(row: Any) -> list[str]:
    return [pool.name for pool in row.node_pools.all()]


TOPOLOGIES_TABLE = Table(
    key="topologies",
    noun="topology,topologies",
    listing=Listing(
        fields={
            "name": Field("name"),
            "cluster": Field("cluster__scope__name"),
            "createdBy": Field("created_by"),
            "created": Field("created_at", filterable=False),
        },
        search_paths=("name",),
        default_sort=("cluster_id", "name"),
    ),
    row_name=lambda row: row.name,
    columns=(
        Column("name", "Topology", lambda row: row.name, f"{CELLS}/topology.html", "name", fixed=True),
        Column("levels", "Levels, widest first", lambda row: " > ".join(row.levels), f"{CELLS}/levels.html"),
        Column("pools", "Node pools", _pools_of),
        Column("createdBy", "Made by", lambda row: row.created_by, sort="createdBy"),
        Column("created", "Since", lambda row: row.created_at, sort="created", start="desc", extra="num"),
        Column("cluster", "Cluster", lambda row: row.cluster.name, sort="cluster", hidden=True),
        Column("id", "Id", lambda row: str(row.pk), extra="mono", hidden=True),
    ),
    filters=(
        FilterOn("name", "Name", operator="=@"),
        FilterOn("cluster", "Cluster", operator="=@"),
        FilterOn("createdBy", "Made by", operator="=@"),
    ),
)
TOPOLOGIES_DELETE = Bulk("delete", "Delete", "trash", "One that belongs to a node pool stays.")
