"""Routes of the platform's own host (``RUNAI_PLATFORM_HOST``)."""

from django.urls import path

from runai_cp.platform import api

urlpatterns = [
    path("healthz", api.healthz),
    path("api/v1/tenants", api.tenants),
    path("api/v1/tenants/<int:tenant_id>", api.tenant),
    path("api/v1/tenants/<int:tenant_id>/export", api.export),
    path("api/v1/tenants/<int:tenant_id>/<str:action>", api.act),
]
