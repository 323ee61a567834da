"""Routes of the projects room's REST, below ``/api/``."""

from django.urls import path

from projects.api import quotas, telemetry, views

DEPARTMENT = "v1/org-unit/departments/<str:unit_id>"
PROJECT = "v1/org-unit/projects/<str:unit_id>"

urlpatterns = [
    path("v1/org-unit/priorities", quotas.PrioritiesView.as_view()),
    path("v1/org-unit/departments", views.DepartmentsView.as_view()),
    path("v1/org-unit/departments/count", views.DepartmentsCountView.as_view()),
    path("v1/org-unit/departments/resources/reset", quotas.ResetDepartmentsView.as_view()),
    path("v1/org-unit/departments/telemetry", telemetry.DepartmentsTelemetryView.as_view()),
    path(DEPARTMENT, views.DepartmentView.as_view()),
    path(f"{DEPARTMENT}/resources", quotas.DepartmentResourcesView.as_view()),
    path("v1/org-unit/projects", views.ProjectsView.as_view()),
    path("v1/org-unit/projects/count", views.ProjectsCountView.as_view()),
    path("v1/org-unit/projects/resources/reset", quotas.ResetProjectsView.as_view()),
    path("v1/org-unit/projects/telemetry", telemetry.ProjectsTelemetryView.as_view()),
    path(PROJECT, views.ProjectView.as_view()),
    path(f"{PROJECT}/resources", quotas.ProjectResourcesView.as_view()),
]
