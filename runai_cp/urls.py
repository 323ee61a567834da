"""Routes of a tenant's host: the REST API, its description, and the console."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from access.api.urls import legacy as access_legacy
from access.guard import SIGNED_IN
from runai_cp.health import health


class SchemaView(SpectacularAPIView):
    allow = {"GET": SIGNED_IN}


class DocsView(SpectacularSwaggerSplitView):
    allow = {"GET": SIGNED_IN}


urlpatterns = [
    path("", include("access.urls")),
    path("", include("clusters.urls")),
    path("", include("projects.urls")),
    path("", include("workloads.urls")),
    path("", include("usage.urls")),
    path("healthz", health, name="health"),
    path("api/", include("access.api.urls")),
    path("", include(access_legacy)),
    path("api/", include("clusters.api.urls")),
    path("api/", include("projects.api.urls")),
    path("api/", include("workloads.api.urls")),
    path("api/", include("usage.api.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(url_name="schema"), name="docs"),
]
