"""Who a person is at an identity provider: the provider's own, unchanging name for them."""

from django.db import models

from access.models.provider import IdentityProvider
from access.models.user import User
from runai_cp.lib.models import BaseModel


class Identity(BaseModel):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=400)
    """``sub`` of OIDC, NameID of SAML."""
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "subject"], name="identity_once_per_provider")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.provider}"


class SsoRequest(BaseModel):
    """A sign-in that was begun at a provider, by one browser. Used once, within ten minutes.

    The browser's session keeps the id; whoever comes back without it did not begin here.
    """

    provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE)
    state = models.JSONField(default=dict)
    """``nonce`` and ``verifier`` of OIDC; ``request`` of SAML, then ``claims`` once its answer was checked."""
    next = models.CharField(max_length=2000, blank=True)

    def __str__(self) -> str:
        return str(self.pk)
