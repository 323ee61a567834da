"""Who did what, from where, and what changed. Append only: triggers of the database refuse anything else.

At commit the database gives each entry the next number and the hash of the entry before it: ``access.services.chain``.
"""

from django.db import models


class AuditEntry(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=254)
    action = models.CharField(max_length=64)
    entity_type = models.CharField(max_length=32)
    entity_id = models.CharField(max_length=64, blank=True)
    entity_name = models.CharField(max_length=253, blank=True)
    scope_path = models.CharField(max_length=255, blank=True)
    result = models.CharField(max_length=16, default="success")
    source_ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=36, blank=True)
    http_method = models.CharField(max_length=8, blank=True, default="")
    url = models.CharField(max_length=300, blank=True, default="")
    status_code = models.PositiveSmallIntegerField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    seq = models.BigIntegerField(null=True, unique=True, editable=False)
    """Place in the chain, in order of commit and without gaps. None until the transaction commits."""
    prev_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    hash = models.CharField(max_length=64, blank=True, default="", editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest_first"),
            models.Index(fields=["entity_type", "entity_id"], name="audit_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.entity_name}"


class AuditAnchor(models.Model):
    """Where the chain begins after old entries were dropped by the retention: the last dropped number and its hash."""

    seq = models.BigIntegerField(unique=True)
    hash = models.CharField(max_length=64)
    dropped_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.seq)
