"""A program's own account: an id and a secret that are exchanged for access tokens."""

from django.db import models

from runai_cp.lib.models import BaseModel


class Application(BaseModel):
    """Called service account, and formerly application, in the public API. Only the hash of the secret is kept."""

    name = models.CharField(max_length=100, unique=True)
    client_id = models.CharField(max_length=64, unique=True)
    secret_hash = models.CharField(max_length=64)
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=200)
    token_generation = models.PositiveIntegerField(default=0)
    """Tokens carry it; raising it ends all tokens given out before."""
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
