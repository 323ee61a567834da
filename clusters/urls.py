"""Console routes of the clusters room."""

from django.urls import path

from clusters.views import clusters, nodes

app_name = "clusters"
urlpatterns = [
    path("clusters/", clusters.cluster_list, name="cluster_list"),
    path("clusters/new/", clusters.cluster_create, name="cluster_create"),
    path("clusters/<uuid:cluster_id>/", clusters.cluster_detail, name="cluster_detail"),
    path("clusters/<uuid:cluster_id>/manifest", clusters.cluster_manifest, name="cluster_manifest"),
    path("clusters/<uuid:cluster_id>/delete", clusters.cluster_delete, name="cluster_delete"),
    path("nodes/", nodes.node_list, name="node_list"),
    path("nodes/<int:node_id>/", nodes.node_detail, name="node_detail"),
]
