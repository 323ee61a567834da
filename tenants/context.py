"""The only ways into a tenant's schema outside a request. Both refuse a tenant that is not there or not ready."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django_tenants.utils import tenant_context

from runai_cp.lib.errors import NotFound
from tenants.models import Tenant, TenantState


@contextmanager
def in_tenant(schema_name: str, state: str = TenantState.READY) -> Iterator[Tenant]:
    """Enter the schema of a tenant in ``state``. Raises ``NotFound`` for one that is gone, suspended or not yet ready.

    Never falls back to ``public``: a task that runs in the wrong schema is worse than one that does not run.
    """
    tenant = Tenant.objects.filter(schema_name=schema_name, state=state).first()
    if tenant is None:
        raise NotFound(f"tenant schema {schema_name!r} is not {state}")
    with tenant_context(tenant):
        if connection.schema_name != schema_name:
            raise NotFound(f"the connection did not enter {schema_name!r}")
        yield tenant


def ready_schemas() -> list[str]:
    """Schema names of all ready tenants, in order of creation."""
    ready = Tenant.objects.filter(state=TenantState.READY).exclude(schema_name="public")
    return list(ready.order_by("id").values_list("schema_name", flat=True))


def current_tenant() -> Tenant:
    """The tenant whose schema the connection is in. Raises ``NotFound`` in the public schema."""
    tenant = connection.tenant
    if isinstance(tenant, Tenant) and tenant.schema_name != "public":
        return tenant
    found = Tenant.objects.filter(schema_name=connection.schema_name).exclude(schema_name="public").first()
    if found is None:
        raise NotFound("no tenant here")
    return found
