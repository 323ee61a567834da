"""Pods as last reported. A pod may be told of before its workload is, so the reference is not enforced."""

from django.db import models

from clusters.models import Cluster
from projects.models import Project
from workloads.models.workload import Workload
from workloads.querysets import PodQuerySet


class Pod(models.Model):
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="pods")
    uid = models.UUIDField()
    workload = models.ForeignKey(
        Workload, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="pods"
    )
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="pods")
    name = models.CharField(max_length=253)
    namespace = models.CharField(max_length=63)
    phase = models.CharField(max_length=16)
    reason = models.CharField(max_length=128, blank=True)
    message = models.TextField(blank=True)
    node = models.CharField(max_length=253, blank=True)
    node_pool = models.CharField(max_length=63, blank=True)
    simulated = models.BooleanField(default=False)
    ip = models.CharField(max_length=45, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    replica_index = models.PositiveIntegerField(default=0)
    containers = models.JSONField(default=list)
    image = models.CharField(max_length=512, blank=True)
    exit_code = models.IntegerField(null=True)
    deleting = models.BooleanField(default=False)
    gpu_milli = models.PositiveIntegerField(default=0)
    gpu_devices = models.JSONField(default=list)
    cpu_milli = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    pod_group = models.CharField(max_length=253, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    report_seq = models.BigIntegerField(default=0)

    objects = PodQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "uid"], name="pod_once_per_cluster")]
        indexes = [
            models.Index(fields=["cluster", "node"], name="pod_on_node", condition=models.Q(deleted_at=None)),
            models.Index(fields=["deleted_at"], name="pod_gone", condition=models.Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name
