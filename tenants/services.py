"""The states of a tenant: opened (a row, a schema, its tables), suspended, resumed, closed.

What goes into a new one, and what must end before one is dropped, is ``runai_cp.platform``'s work.
"""

import re

from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotFound
from tenants.models import Domain, Tenant, TenantSchema, TenantState, make_schema_name
from tenants.rollout import remember
from tenants.schemas import drop_schema, take_spare

NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def open_tenant(*, name: str, domains: tuple[str, ...]) -> Tenant:
    """Create the rows and the schema with all its tables; the tenant stays ``creating`` until ``mark_ready``.

    Safe to repeat after a crash: a tenant of that name still in ``creating`` is taken up again. Raises ``Invalid``,
    and ``Conflict`` when the name or a domain is somebody else's.
    """
    _check(name, domains)
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update().filter(name=name).first()
        if tenant is not None and tenant.state != TenantState.CREATING:
            raise Conflict(f"A tenant named {name!r} exists already.")
        taken = Domain.objects.filter(domain__in=domains).exclude(tenant=tenant).values_list("domain", flat=True)
        if taken:
            raise Conflict(f"Domain {', '.join(sorted(taken))} belongs to another tenant.")
        if tenant is None:
            tenant = Tenant.objects.create(name=name, schema_name=take_spare() or make_schema_name())
        for position, domain in enumerate(domains):
            Domain.objects.get_or_create(domain=domain, defaults={"tenant": tenant, "is_primary": position == 0})
    if not TenantSchema.objects.filter(schema_name=tenant.schema_name).exists():
        _make_schema(tenant)
    return tenant


def _make_schema(tenant: Tenant) -> None:
    """Schema and tables; one that a crash left half-made is finished."""
    if tenant.create_schema(check_if_exists=True, verbosity=0) is False:
        call_command("migrate_schemas", schema_name=tenant.schema_name, interactive=False, verbosity=0)
    remember(tenant.schema_name)


def find_tenant(name: str) -> Tenant:
    """By name, whatever its state; a deleted one has no name any more. Raises ``NotFound``."""
    tenant = Tenant.objects.exclude(state=TenantState.DELETED).filter(name=name).first()
    if tenant is None:
        raise NotFound(f"There is no tenant named {name!r}.")
    return tenant


def suspend(tenant: Tenant) -> None:
    """Its people and programs are refused with a sentence; its clusters go on by themselves. Safe to repeat."""
    _move(tenant, TenantState.SUSPENDED, {TenantState.READY, TenantState.SUSPENDED})


def resume(tenant: Tenant) -> None:
    _move(tenant, TenantState.READY, {TenantState.SUSPENDED, TenantState.READY})


def begin_deletion(tenant: Tenant) -> None:
    """Nothing of it answers from now on. There is no way back. Safe to repeat."""
    _move(tenant, TenantState.DELETING, {*TenantState} - {TenantState.DELETED})


def finish_deletion(tenant: Tenant) -> int:
    """Drop the schema of a tenant that is being deleted, and give its name and hosts free; returns its tables' number.

    Waits for a migration that is under way in the schema. Safe to repeat. Raises ``Conflict`` for any other state.
    """
    if tenant.state != TenantState.DELETING:
        raise Conflict(f"The tenant {tenant.name} is {tenant.state}; its deletion must be asked for first.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [tenant.schema_name])
        try:
            tables = drop_schema(tenant.schema_name)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [tenant.schema_name])
    with transaction.atomic():
        Domain.objects.filter(tenant=tenant).delete()
        TenantSchema.objects.filter(schema_name=tenant.schema_name).delete()
        tenant.name = f"deleted {tenant.pk}"
        tenant.state, tenant.deleted_at = TenantState.DELETED, timezone.now()
        tenant.save(update_fields=["name", "state", "deleted_at"])
    return tables


def _move(tenant: Tenant, state: TenantState, allowed: set[TenantState]) -> None:
    """Raises ``Conflict`` when the tenant is in a state from which that cannot be."""
    changed = Tenant.objects.filter(pk=tenant.pk, state__in=allowed).update(state=state)
    if not changed:
        tenant.refresh_from_db(fields=["state"])
        raise Conflict(f"The tenant {tenant.name} is {tenant.state}; it cannot become {state}.")
    tenant.state = state


def mark_ready(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk, state=TenantState.CREATING).update(state=TenantState.READY)
    tenant.state = TenantState.READY


def _check(name: str, domains: tuple[str, ...]) -> None:
    errors = []
    if not NAME.fullmatch(name):
        message = "must start with a letter and hold lower-case letters, digits and hyphens only, at most 63"
        errors.append(FieldError("name", message, name))
    if not domains:
        errors.append(FieldError("domain", "at least one domain is needed"))
    errors += [
        FieldError("domain", "must be a host name without scheme, port or path", domain)
        for domain in domains
        if not HOST.fullmatch(domain)
    ]
    if errors:
        raise Invalid(*errors)
