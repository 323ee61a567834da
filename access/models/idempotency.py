"""Answers of requests that carried an ``Idempotency-Key``, kept for a day."""

from django.db import models


class IdempotencyKey(models.Model):
    """Written in the transaction of the effect itself: either both are there, or neither."""

    actor_id = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.BinaryField(null=True)
    """JSON of the answer, sealed: some answers hold a secret that is shown once."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor_id", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.key
