"""One row per workload that anybody ever submitted, by whatever door; deleted ones stay for the Deleted tab."""

from django.db import models

from agent.wire.phases import FINAL, Phase
from clusters.models import Cluster
from projects.models import Project
from runai_cp.lib.models import uuid7
from workloads.querysets import WorkloadQuerySet
from workloads.specs.request import SOURCE_CLI, SOURCE_CONSOLE, SOURCE_OTHER


class DesiredPhase(models.TextChoices):
    RUNNING = "Running"
    STOPPED = "Stopped"
    DELETED = "Deleted"


class Source(models.TextChoices):
    """Where it was submitted: REST and console, the command, or kubectl."""

    CONTROL_PLANE = SOURCE_CONSOLE
    CLI = SOURCE_CLI
    OTHER = SOURCE_OTHER


class Workload(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=253)
    """What the user sees. The object's name differs only while an older object of that name is still going."""
    object_name = models.CharField(max_length=253)
    type = models.CharField(max_length=16)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="workloads")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="workloads")
    managed = models.BooleanField(default=True)
    """True: its document is ours to change. False: kubectl made it, and we act by commands."""
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.CONTROL_PLANE)
    submitted_by = models.CharField(max_length=254, blank=True)

    request = models.JSONField(null=True)
    """``specs.request.to_json``: as asked. None for what kubectl made."""
    spec = models.JSONField(default=dict)
    """``agent.wire.objects.WorkloadSpec`` as JSON."""
    generation = models.PositiveIntegerField(default=1)
    """Raised by every change that a person makes; acts compare and set it."""
    desired_phase = models.CharField(max_length=8, choices=DesiredPhase.choices, default=DesiredPhase.RUNNING)

    command_id = models.UUIDField(null=True)
    """The act under way on what kubectl made; settled when the command has ended (``services.commands``)."""

    # Facts for lists, taken from the spec when it is written.
    image = models.CharField(max_length=512, blank=True)
    priority = models.IntegerField(default=50)
    priority_class = models.CharField(max_length=63, blank=True)
    preemptible = models.BooleanField(default=True)
    category = models.CharField(max_length=63, blank=True)
    framework = models.CharField(max_length=16, blank=True)
    requested_pods = models.PositiveIntegerField(default=1)
    requested_gpu_milli = models.BigIntegerField(default=0)
    requested_cpu_milli = models.BigIntegerField(default=0)
    requested_memory_bytes = models.BigIntegerField(default=0)
    requested_node_pools = models.JSONField(default=list)

    # From the last report.
    object_uid = models.UUIDField(null=True)
    report_seq = models.BigIntegerField(default=0)
    phase = models.CharField(max_length=16, choices=[(item, item) for item in Phase], default=Phase.CREATING)
    phase_since = models.DateTimeField()
    message = models.TextField(blank=True)
    reasons = models.JSONField(default=list)
    conditions = models.JSONField(default=list)
    running_pods = models.PositiveIntegerField(default=0)
    ready_pods = models.PositiveIntegerField(default=0)
    failed_attempts = models.PositiveIntegerField(default=0)
    allocated_gpu_milli = models.BigIntegerField(default=0)
    node_pools = models.JSONField(default=list)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    objects = WorkloadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"],
                name="workload_name_once_alive",
                condition=models.Q(managed=True, deleted_at=None) & ~models.Q(desired_phase="Deleted"),
            ),
            models.UniqueConstraint(
                fields=["cluster", "object_uid"],
                name="workload_object_once",
                condition=models.Q(object_uid__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "id"], name="workload_newest", condition=models.Q(deleted_at=None)),
            models.Index(
                fields=["project", "-created_at"], name="workload_of_project", condition=models.Q(deleted_at=None)
            ),
            models.Index(fields=["command_id"], name="workload_act", condition=models.Q(command_id__isnull=False)),
            models.Index(
                fields=["cluster"],
                name="workload_leaving",
                condition=models.Q(deleted_at=None, desired_phase="Deleted"),
            ),
            models.Index(fields=["phase"], name="workload_phase", condition=models.Q(deleted_at=None)),
            models.Index(fields=["-deleted_at"], name="workload_deleted", condition=models.Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def namespace(self) -> str:
        return self.project.namespace

    @property
    def is_final(self) -> bool:
        """Nothing changes any more without somebody's act: a page may stop refreshing."""
        return self.deleted_at is not None or (self.phase in FINAL and self.desired_phase != DesiredPhase.DELETED)
