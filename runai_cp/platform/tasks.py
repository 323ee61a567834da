"""Work on tenants that no request waits for. Each may be lost or run twice: the tenant's state says what is left."""

from celery import shared_task

from runai_cp.platform.lifecycle import delete_tenant as run_deletion
from tenants.models import Tenant, TenantState
from tenants.schemas import prepare_spares

SPARES = 2
"""Schemas kept ready, so that opening a tenant does not wait for its tables."""


@shared_task(name="runai_cp.platform.tasks.delete_tenant")
def delete_tenant(tenant_id: int) -> None:
    for tenant in Tenant.objects.filter(pk=tenant_id, state=TenantState.DELETING):
        run_deletion(tenant)


@shared_task(name="runai_cp.platform.tasks.sweep")
def sweep() -> None:
    """What a lost message would have done: deletions that were asked for, and spare schemas."""
    for tenant in Tenant.objects.filter(state=TenantState.DELETING):
        run_deletion(tenant)
    prepare_spares(SPARES)
