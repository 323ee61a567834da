"""A sign-in of a program that a person lets through in the console: by a code (browser) or by typing one (device)."""

from django.db import models

from access.models.user import User
from runai_cp.lib.models import BaseModel


class AuthorizationState(models.TextChoices):
    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class Authorization(BaseModel):
    """Lives minutes. ``secret_hash`` is of the authorization code (RFC 6749) or of the device code (RFC 8628)."""

    secret_hash = models.CharField(max_length=64, unique=True)
    user_code = models.CharField(max_length=16, null=True, unique=True)  # noqa: DJ001 - unique only where there is one
    """What a person types for a device; None for the browser flow."""
    state = models.CharField(max_length=8, choices=AuthorizationState.choices, default=AuthorizationState.WAITING)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="authorizations")
    challenge = models.CharField(max_length=64, blank=True)
    """PKCE, method S256; empty for a device."""
    redirect_uri = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=100, blank=True)
    """What the program says it is: a claim, shown as one."""
    asked_from = models.GenericIPAddressField(null=True)
    expires_at = models.DateTimeField()
    polled_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.label} {self.state}"
