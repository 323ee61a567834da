"""The later life of a tenant across rooms: suspended and resumed at once, deleted in steps that may be repeated.

Deletion: refuse everybody, revoke the agents, forget its time series and its inbox, drop the schema in batches. Each
step leaves a state from which the next call goes on; the tenant's row and its id stay.
"""

import logging
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django_tenants.utils import schema_context

from link import models as link_rows
from link import services as link
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.nudge import nudge
from tenants.models import Domain, Tenant, TenantSchema, TenantState
from tenants.services import begin_deletion, find_tenant, finish_deletion, resume, suspend

log = logging.getLogger(__name__)
INBOX_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Listed:
    """A tenant as the provider sees it."""

    tenant: Tenant
    domains: tuple[str, ...]
    schema: TenantSchema | None
    clusters: int


def suspend_tenant(name: str) -> Tenant:
    """Raises ``NotFound``, ``Conflict``. Workloads in its clusters go on."""
    tenant = find_tenant(name)
    suspend(tenant)
    log.info("tenant suspended: %s", name)
    return tenant


def resume_tenant(name: str) -> Tenant:
    tenant = find_tenant(name)
    resume(tenant)
    log.info("tenant resumed: %s", name)
    return tenant


def ask_deletion(name: str, confirm: str) -> Tenant:
    """Close the tenant to everybody and send for the rest. ``confirm`` must be its name, typed again."""
    tenant = find_tenant(name)
    if confirm != tenant.name:
        raise Invalid(FieldError("name", f"type the tenant's name, {tenant.name}, to delete it", confirm))
    with transaction.atomic():
        begin_deletion(tenant)
        nudge("runai_cp.platform.tasks.delete_tenant", tenant.pk)
    log.info("tenant deletion asked: %s", name)
    return tenant


def delete_tenant(tenant: Tenant) -> int:
    """All steps of a deletion that was asked for; returns how many tables were dropped. Safe to repeat."""
    if tenant.state == TenantState.DELETED:
        return 0
    for cluster_id in link_rows.Cluster.objects.filter(schema_name=tenant.schema_name).values_list("pk", flat=True):
        link.remove_cluster(cluster_id=cluster_id)
    _forget_rows(tenant.schema_name)
    link.forget_issuer(schema_name=tenant.schema_name)
    tables = finish_deletion(tenant)
    log.info("tenant deleted: %s, %s tables", tenant.pk, tables)
    return tables


def _forget_rows(schema_name: str) -> None:
    """Rows of shared tables. Samples of the series go with their day's partition, at the latest after the retention."""
    while True:
        rows = link_rows.Inbox.objects.filter(schema_name=schema_name).values("pk")[:INBOX_BATCH]
        if not link_rows.Inbox.objects.filter(pk__in=rows).delete()[0]:
            break
    with schema_context(schema_name), connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        if cursor.fetchone()[0] == schema_name:  # the row-level policy of the series goes by the schema
            cursor.execute("DELETE FROM public.series_series WHERE schema_name = current_schema()")


def list_tenants(*, offset: int = 0, limit: int | None = None, deleted: bool = False) -> list[Listed]:
    """In order of creation: three queries."""
    rows = Tenant.objects.exclude(schema_name="public").order_by("pk")
    if not deleted:
        rows = rows.exclude(state=TenantState.DELETED)
    found = list(rows[offset : offset + limit] if limit is not None else rows[offset:])
    domains: dict[int, list[str]] = {}
    for tenant_id, domain in (
        Domain.objects.filter(tenant__in=found).order_by("-is_primary", "domain").values_list("tenant_id", "domain")
    ):
        domains.setdefault(tenant_id, []).append(domain)
    names = [tenant.schema_name for tenant in found]
    schemas = {row.schema_name: row for row in TenantSchema.objects.filter(schema_name__in=names)}
    clusters: dict[str, int] = {}
    alive = link_rows.Cluster.objects.filter(schema_name__in=names).exclude(state="removed")
    for schema_name in alive.values_list("schema_name", flat=True):
        clusters[schema_name] = clusters.get(schema_name, 0) + 1
    return [
        Listed(row, tuple(domains.get(row.pk, ())), schemas.get(row.schema_name), clusters.get(row.schema_name, 0))
        for row in found
    ]


def shape(item: Listed) -> dict[str, Any]:
    """As the platform API and ``list_tenants --json`` show it."""
    schema = item.schema
    return {
        "id": item.tenant.pk,
        "name": item.tenant.name,
        "state": item.tenant.state,
        "domains": list(item.domains),
        "clusters": item.clusters,
        "createdAt": item.tenant.created_at.isoformat(),
        "deletedAt": item.tenant.deleted_at.isoformat() if item.tenant.deleted_at else None,
        "schema": {
            "name": item.tenant.schema_name,
            "state": schema.state if schema else "unknown",
            "fingerprint": schema.fingerprint if schema else "",
            "error": schema.error if schema else "",
            "attempts": schema.attempts if schema else 0,
        },
    }
