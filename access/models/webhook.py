"""Addresses that want to hear of changes, and what is still to be delivered to them."""

from django.db import models
from django.db.models.functions import Lower

from runai_cp.lib.models import BaseModel


class Webhook(BaseModel):
    """``events`` are patterns as ``project.*`` or ``*.delete``. ``cursor`` is the last audit number it has taken in."""

    name = models.CharField(max_length=100)
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)
    secret = models.BinaryField(default=bytes)
    """Sealed: the key of the signature must be read again for each delivery."""
    enabled = models.BooleanField(default=True)
    cursor = models.BigIntegerField(default=0)
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="webhook_name_once")]

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


class WebhookDelivery(BaseModel):
    """One event for one address. Its id is the same over all attempts: receivers tell repeats by it."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=100)
    audit_seq = models.BigIntegerField()
    body = models.JSONField()
    state = models.CharField(max_length=16, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "audit_seq"], name="webhook_event_once")]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="webhook_delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.state}"
