"""Who did what, from where, and what changed. Append only."""

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
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest_first"),
            models.Index(fields=["entity_type", "entity_id"], name="audit_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.entity_name}"
