"""A person's own credentials for programs: they carry exactly the person's rights, and end with the person."""

from django.db import models

from access.models.user import User
from runai_cp.lib.models import BaseModel


class AccessKey(BaseModel):
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_keys")
    name = models.CharField(max_length=100)
    client_id = models.CharField(max_length=64, unique=True)
    secret_hash = models.CharField(max_length=64)
    token_generation = models.PositiveIntegerField(default=0)
    """Tokens carry it; raising it ends all tokens given out before."""
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="access_key_name_once_per_owner")]

    def __str__(self) -> str:
        return self.name


class RefreshToken(BaseModel):
    """One step of a chain: used once, then replaced. A step that is used twice ends its whole ``family``."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_tokens")
    token_hash = models.CharField(max_length=64, unique=True)
    family = models.UUIDField(db_index=True)
    generation = models.PositiveIntegerField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    label = models.CharField(max_length=100, blank=True)
    """What the program that holds it said it is."""

    def __str__(self) -> str:
        return str(self.pk)
