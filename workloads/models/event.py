"""What happened to a workload: Kubernetes events of its objects, and every change of its phase."""

from django.db import models

from agent.wire.phases import Phase
from clusters.models import Cluster
from workloads.models.workload import Workload
from workloads.querysets import EventQuerySet


class Event(models.Model):
    """One Kubernetes event, counted by the cluster. Its object may be told of later: ``workload`` is then filled in."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="events")
    uid = models.UUIDField()
    workload = models.ForeignKey(Workload, null=True, on_delete=models.CASCADE, related_name="events")
    namespace = models.CharField(max_length=63)
    kind = models.CharField(max_length=63)
    name = models.CharField(max_length=253)
    object_uid = models.UUIDField(null=True)
    type = models.CharField(max_length=16)
    reason = models.CharField(max_length=128, blank=True)
    message = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    source = models.CharField(max_length=253, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "uid"], name="event_once_per_cluster")]
        indexes = [
            models.Index(fields=["workload", "-last_at"], name="event_of_workload"),
            models.Index(fields=["object_uid"], name="event_unclaimed", condition=models.Q(workload=None)),
            models.Index(fields=["last_at"], name="event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class PhaseChange(models.Model):
    """The workload entered ``phase`` at ``at``, with that sentence."""

    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="phase_changes")
    at = models.DateTimeField()
    phase = models.CharField(max_length=16, choices=[(item, item) for item in Phase])
    message = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["workload", "-at"], name="phase_change_of_workload")]

    def __str__(self) -> str:
        return f"{self.phase} at {self.at}"
