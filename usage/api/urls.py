"""Routes of the usage room's REST, below ``/api/``."""

from django.urls import path

from usage.api import metrics, org_units

urlpatterns = [
    path("v1/workloads/<uuid:workload_id>/metrics", metrics.WorkloadMetricsView.as_view()),
    path("v1/workloads/<uuid:workload_id>/pods/<uuid:pod_id>/metrics", metrics.PodMetricsView.as_view()),
    path("v1/nodes/<uuid:node_id>/metrics", metrics.NodeMetricsView.as_view()),
    path("v1/clusters/<uuid:cluster_uuid>/metrics", metrics.ClusterMetricsView.as_view()),
    path("v1/org-unit/departments/<str:unit_id>/metrics", org_units.DepartmentMetricsView.as_view()),
    path("v1/org-unit/projects/<str:unit_id>/metrics", org_units.ProjectMetricsView.as_view()),
]
