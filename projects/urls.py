"""Console routes of the projects room."""

from django.urls import path

from projects.views import departments, grid, projects

app_name = "projects"
urlpatterns = [
    path("projects/", projects.project_list, name="project_list"),
    path("projects/new/", projects.project_create, name="project_create"),
    path("projects/quotas/", grid.quota_grid, name="quota_grid"),
    path("projects/quotas/save", grid.quota_grid_save, name="quota_grid_save"),
    path("projects/<int:project_id>/", projects.project_detail, name="project_detail"),
    path("projects/<int:project_id>/edit/", projects.project_edit, name="project_edit"),
    path("projects/<int:project_id>/remove", projects.project_delete, name="project_delete"),
    path("departments/", departments.department_list, name="department_list"),
    path("departments/bulk", departments.department_bulk, name="department_bulk"),
    path("departments/new/", departments.department_create, name="department_create"),
    path("departments/<int:department_id>/", departments.department_detail, name="department_detail"),
    path("departments/<int:department_id>/edit/", departments.department_edit, name="department_edit"),
    path("departments/<int:department_id>/delete", departments.department_delete, name="department_delete"),
]
