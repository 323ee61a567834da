"""Console routes of the clusters room."""

from django.urls import path

from clusters.views import clusters, nodes, pools, topologies

app_name = "clusters"
urlpatterns = [
    path("clusters/", clusters.cluster_list, name="cluster_list"),
    path("clusters/bulk", clusters.cluster_bulk, name="cluster_bulk"),
    path("clusters/new/", clusters.cluster_create, name="cluster_create"),
    path("clusters/<uuid:cluster_id>/", clusters.cluster_detail, name="cluster_detail"),
    path("clusters/<uuid:cluster_id>/edit/", clusters.cluster_edit, name="cluster_edit"),
    path("clusters/<uuid:cluster_id>/rotate", clusters.cluster_rotate, name="cluster_rotate"),
    path("clusters/<uuid:cluster_id>/manifest", clusters.cluster_manifest, name="cluster_manifest"),
    path("clusters/<uuid:cluster_id>/delete", clusters.cluster_delete, name="cluster_delete"),
    path("node-pools/", pools.node_pool_list, name="node_pool_list"),
    path("node-pools/bulk", pools.node_pool_bulk, name="node_pool_bulk"),
    path("node-pools/new/", pools.node_pool_create, name="node_pool_create"),
    path("node-pools/<int:pool_id>/edit/", pools.node_pool_edit, name="node_pool_edit"),
    path("node-pools/<int:pool_id>/delete", pools.node_pool_delete, name="node_pool_delete"),
    path("topologies/", topologies.topology_list, name="topology_list"),
    path("topologies/bulk", topologies.topology_bulk, name="topology_bulk"),
    path("topologies/new/", topologies.topology_create, name="topology_create"),
    path("topologies/<uuid:topology_id>/", topologies.topology_detail, name="topology_detail"),
    path("topologies/<uuid:topology_id>/delete", topologies.topology_delete, name="topology_delete"),
    path("nodes/", nodes.node_list, name="node_list"),
    path("nodes/<int:node_id>/", nodes.node_detail, name="node_detail"),
]
