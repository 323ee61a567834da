"""What the lists of the clusters room can be filtered, sorted and searched by."""

from datetime import datetime
from uuid import UUID

from runai_cp.lib.listing import Field, Listing

NODES = Listing(
    fields={
        "name": Field("name"),
        "status": Field("status"),
        "nodePool": Field("node_pool"),
        "gpuType": Field("gpu_type"),
        "clusterUuid": Field("cluster_id", UUID),
    },
    search_paths=("name", "gpu_type", "node_pool"),
    default_sort=("name",),
)

NODE_POOLS = Listing(
    fields={
        "name": Field("name"),
        "clusterId": Field("cluster_id", UUID),
        "phase": Field("phase"),
        "networkTopologyName": Field("network_topology__name"),
        "createdAt": Field("created_at", datetime),
        "updatedAt": Field("updated_at", datetime),
    },
    search_paths=("name",),
    default_sort=("pk",),
)

TOPOLOGIES = Listing(
    fields={
        "name": Field("name"),
        "clusterId": Field("cluster_id", UUID),
        "source": Field("source"),
        "phase": Field("phase"),
    },
    search_paths=("name",),
    default_sort=("name",),
)
