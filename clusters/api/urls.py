"""Routes of the clusters room's REST, below ``/api/``."""

from django.urls import path

from clusters.api import clusters, pools, supply, telemetry

ONE = "v1/clusters/<uuid:cluster_uuid>"

urlpatterns = [
    path("v1/clusters", clusters.ClustersView.as_view()),
    path(ONE, clusters.ClusterView.as_view()),
    path(f"{ONE}/cluster-install-info", clusters.ClusterInstallInfoView.as_view()),
    path(f"{ONE}/credentials/rotate", clusters.ClusterCredentialsView.as_view()),
    path(f"{ONE}/manifest", clusters.ClusterManifestView.as_view()),
    path(f"{ONE}/nodes", supply.NodesView.as_view()),
    path(f"{ONE}/nodes/count", supply.NodesCountView.as_view()),
    path("v1/nodes", supply.NodesView.as_view()),
    path("v1/nodes/telemetry", telemetry.NodesTelemetryView.as_view()),
    path("v1/nodes/count", supply.NodesCountView.as_view()),
    path("v1/node-pools", pools.NodePoolsView.as_view()),
    path("v1/node-pools/count", pools.NodePoolsCountView.as_view()),
    path("v1/node-pools/<int:node_pool_id>", pools.NodePoolView.as_view()),
    path("v1/network-topologies", pools.TopologiesView.as_view()),
    path("v1/network-topologies/count", pools.TopologiesCountView.as_view()),
    path("v1/network-topologies/<uuid:topology_id>", pools.TopologyView.as_view()),
]
