"""An identity provider of the tenant's own: what is needed to speak with it, and how its claims are read."""

from django.db import models
from django.db.models.functions import Lower

from runai_cp.lib.models import BaseModel


class ProviderKind(models.TextChoices):
    OIDC = "oidc"
    SAML = "saml"
    OPENSHIFT = "openshift-v4"


class IdentityProvider(BaseModel):
    """``data`` holds the fields of the kind without the secret; ``secret`` is sealed for this row."""

    alias = models.CharField(max_length=64)
    name = models.CharField(max_length=100, blank=True)
    kind = models.CharField(max_length=16, choices=ProviderKind.choices)
    enabled = models.BooleanField(default=True)
    data = models.JSONField(default=dict)
    secret = models.BinaryField(default=bytes)
    mappers = models.JSONField(default=dict)
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("alias"), name="provider_alias_once")]

    def __str__(self) -> str:
        return self.alias
