"""Keys that sign ID tokens for kubectl: one signs, the next is published before, the last until its tokens end."""

from django.db import models

from runai_cp.lib.models import BaseModel


class IssuerKey(BaseModel):
    """``secret`` is the private key (PKCS 8, DER), sealed for this row; ``public`` its JWK, which carries ``kid``."""

    kid = models.CharField(max_length=64, unique=True)
    public = models.JSONField()
    secret = models.BinaryField()
    signs_from = models.DateTimeField()
    """From then on it is the one that signs, until a newer one does."""

    def __str__(self) -> str:
        return self.kid
