"""Routes of the public schema's own host: none yet but health. Tenants live on their own hosts."""

from django.urls import path

from runai_cp.health import health

urlpatterns = [path("healthz", health)]
