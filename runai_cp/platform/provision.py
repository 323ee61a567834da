"""Create a tenant whole: schema, scope tree, first administrator, first application."""

import secrets
from dataclasses import dataclass

from django.db import transaction

from access.services.applications import create_application
from access.services.bootstrap import bootstrap_access
from access.services.users import create_user
from runai_cp.lib.errors import FieldError, Invalid
from tenants.context import in_tenant
from tenants.models import Tenant, TenantState
from tenants.services import mark_ready, open_tenant


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What is shown once and never again: the password and the application's secret."""

    tenant: Tenant
    domains: tuple[str, ...]
    admin_email: str
    admin_password: str
    application_id: str
    application_secret: str


def provision_tenant(*, name: str, domains: tuple[str, ...], admin_email: str) -> Provisioned:
    """Safe to repeat: until the tenant is ready a second call takes it up again and makes new secrets.

    Raises ``Invalid`` and ``Conflict`` as ``open_tenant`` and ``create_user`` do.
    """
    if "@" not in admin_email:
        raise Invalid(FieldError("admin-email", "must be an e-mail address", admin_email))
    tenant = open_tenant(name=name, domains=domains)
    password = secrets.token_urlsafe(12)
    with in_tenant(tenant.schema_name, state=TenantState.CREATING), transaction.atomic():
        actor, root = bootstrap_access(tenant_name=name)
        create_user(actor=actor, email=admin_email, password=password, role="administrator", scope=root)
        application, secret = create_application(
            actor=actor, name="first-application", role="administrator", scope=root
        )
        mark_ready(tenant)
    return Provisioned(tenant, domains, admin_email, password, application.client_id, secret)
