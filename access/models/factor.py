"""What a person shows besides the password: an authenticator app or a passkey; and codes for the day it is lost."""

from django.db import models
from django.db.models import Q

from access.models.user import User
from runai_cp.lib.models import BaseModel


class FactorKind(models.TextChoices):
    TOTP = "totp", "Authenticator app"
    PASSKEY = "passkey", "Passkey"


class SecondFactor(BaseModel):
    """``secret`` is the sealed key of an authenticator app, or a passkey's public key as the browser gave it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="factors")
    kind = models.CharField(max_length=8, choices=FactorKind.choices)
    name = models.CharField(max_length=100)
    secret = models.BinaryField()
    credential_id = models.CharField(max_length=1400, blank=True)
    """Base64url of a passkey's own id; empty for an app."""
    counter = models.BigIntegerField(default=0)
    """The last time step an app's code was taken for, or a passkey's count of signatures: neither ever goes back."""
    confirmed = models.BooleanField(default=False)
    """False until a first code was right."""
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(kind="totp"), name="one_authenticator_app_per_user"),
            models.UniqueConstraint(
                fields=["credential_id"], condition=Q(kind="passkey"), name="passkey_once_per_tenant"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RecoveryCode(models.Model):
    """One of ten; only a keyed hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_once_per_user")]

    def __str__(self) -> str:
        return str(self.pk)
