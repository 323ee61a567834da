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
    DELETED = "deleted"


def make_schema_name() -> str:
    """``t_`` and 13 characters of base32: generated, so that no customer's words ever become an identifier in SQL."""
    return "t_" + base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=").lower()


class Tenant(TenantMixin):
    """One customer. ``id`` is the ``tenantId`` of the public API (from 1001 on)."""

    name = models.CharField(max_length=63, unique=True)
    state = models.CharField(max_length=16, choices=TenantState.choices, default=TenantState.CREATING)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True)
    """The row of a deleted tenant stays: its id and its schema's name are never given again."""
    brand = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    """How its console looks (``access.services.brand``): on the row that every request reads anyway."""

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


class SchemaState(models.TextChoices):
    CURRENT = "current"
    FAILED = "failed"
    SPARE = "spare"


class TenantSchema(models.Model):
    """Which migrations a schema has, as one hash: who is behind is one query (``tenants.rollout``).

    A ``spare`` is a schema with all its tables that belongs to nobody yet: opening a tenant takes one.
    """

    schema_name = models.CharField(max_length=63, primary_key=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=SchemaState.choices, default=SchemaState.CURRENT)
    error = models.TextField(blank=True)
    """Why the last attempt failed; empty when it did not."""
    attempts = models.PositiveIntegerField(default=0)
    """Failed ones since the last success."""
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.schema_name} {self.state}"
