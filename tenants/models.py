"""Who is a customer: a tenant, its schema and the host names it answers on."""

import base64
import secrets

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class TenantState(models.TextChoices):
    CREATING = "creating"
    READY = "ready"
    SUSPENDED = "suspended"
    DELETING = "deleting"


def make_schema_name() -> str:
    """``t_`` and 13 characters of base32: generated, so that no customer's words ever become an identifier in SQL."""
    return "t_" + base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=").lower()


class Tenant(TenantMixin):
    """One customer. ``id`` is the ``tenantId`` of the public API (from 1001 on)."""

    name = models.CharField(max_length=63, unique=True)
    state = models.CharField(max_length=16, choices=TenantState.choices, default=TenantState.CREATING)
    created_at = models.DateTimeField(auto_now_add=True)

    # Saving a row must not run migrations in the request: provisioning is a step of its own.
    auto_create_schema = False
    auto_drop_schema = False

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(schema_name__regex=r"^(t_[a-z2-7]{13}|public)$"), name="tenant_schema_name_is_ours"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """A host name of a tenant, without its port."""

    def __str__(self) -> str:
        return self.domain
