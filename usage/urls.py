"""Console routes of the usage room: the first page, charts, and the palette."""

from django.urls import path

from usage.views import home, jump, pages

app_name = "usage"
urlpatterns = [
    path("", pages.overview, name="overview"),
    path("home/", home.home, name="home"),
    path("palette/", jump.palette, name="palette"),
    path("workloads/<uuid:workload_id>/metrics/", pages.workload_metrics, name="workload_metrics"),
]
