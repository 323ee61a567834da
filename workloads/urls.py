"""Console routes of the workloads room."""

from django.urls import path

from workloads.views import browse, detail, lifecycle, logs, projects, quota_preview, submit

app_name = "workloads"
one = "workloads/<uuid:workload_id>"
urlpatterns = [
    path("workloads/", browse.workload_list, name="workload_list"),
    path("workloads/new/", submit.workload_create, name="workload_create"),
    path("workloads/preview/", submit.workload_preview, name="workload_preview"),
    path("workloads/bulk/", lifecycle.workload_bulk, name="workload_bulk"),
    path(f"{one}/", detail.workload_detail, name="workload_detail"),
    path(f"{one}/pods/", detail.workload_pods, name="workload_pods"),
    path(f"{one}/events/", detail.workload_events, name="workload_events"),
    path(f"{one}/yaml/", detail.workload_manifest, name="workload_manifest"),
    path(f"{one}/history/", detail.workload_history, name="workload_history"),
    path(f"{one}/logs/", logs.workload_logs, name="workload_logs"),
    path(f"{one}/logs/open", logs.log_open, name="log_open"),
    path(f"{one}/logs/read", logs.log_read, name="log_read"),
    path(f"{one}/menu/", lifecycle.workload_menu, name="workload_menu"),
    path(f"{one}/suspend", lifecycle.workload_suspend, name="workload_suspend"),
    path(f"{one}/resume", lifecycle.workload_resume, name="workload_resume"),
    path(f"{one}/delete", lifecycle.workload_delete, name="workload_delete"),
    path("projects/quotas/preview", quota_preview.quota_preview, name="quota_preview"),
    path("projects/bulk", projects.project_bulk, name="project_bulk"),
    path("projects/<int:project_id>/delete/", projects.project_impact, name="project_impact"),
]
