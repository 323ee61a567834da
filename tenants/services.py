"""Open a tenant: a row, a schema, its tables. What goes into them is ``runai_cp.platform``'s work."""

import re

from django.db import transaction

from runai_cp.lib.errors import Conflict, FieldError, Invalid
from tenants.models import Domain, Tenant, TenantState, make_schema_name

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
            tenant = Tenant.objects.create(name=name, schema_name=make_schema_name())
        for position, domain in enumerate(domains):
            Domain.objects.get_or_create(domain=domain, defaults={"tenant": tenant, "is_primary": position == 0})
    tenant.create_schema(check_if_exists=True, verbosity=0)
    return tenant


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
