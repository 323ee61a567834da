"""Tables of the clusters room. Reports are stored as they came; a cluster's state is derived when read (``states``)."""

from django.db import models

from access.models import Scope
from agent.wire import labels
from clusters.querysets import ClusterQuerySet, NetworkTopologyQuerySet, NodePoolQuerySet, NodeQuerySet
from runai_cp.lib.models import BaseModel


class Cluster(BaseModel):
    """A customer's Kubernetes cluster. Its name is its scope's."""

    scope = models.OneToOneField(Scope, on_delete=models.CASCADE, related_name="cluster")
    domain = models.CharField(max_length=253, blank=True)
    location = models.CharField(max_length=120, blank=True)
    """Where it stands, in people's words: a site, a region."""
    safe_mode = models.BooleanField(default=False)
    """Read-only: nothing that is asked here changes what the cluster holds."""
    created_by = models.CharField(max_length=200)
    delete_requested_at = models.DateTimeField(null=True)

    # From the last ClusterReport; empty before the first.
    report_seq = models.BigIntegerField(default=0)
    reported_at = models.DateTimeField(null=True)
    agent_version = models.CharField(max_length=64, blank=True)
    kubernetes_version = models.CharField(max_length=64, blank=True)
    platform = models.CharField(max_length=32, blank=True)
    runs_as = models.CharField(max_length=16, blank=True)
    roles = models.JSONField(default=list)
    dependencies = models.JSONField(default=list)
    conditions = models.JSONField(default=list)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.scope.name


class NodePool(models.Model):
    """The nodes of a cluster that carry a label. Its id is a number, shown as digits in the public API."""

    id = models.AutoField(primary_key=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="node_pools")
    name = models.CharField(max_length=63)
    label_key = models.CharField(max_length=317, default=labels.NODE_POOL)
    label_value = models.CharField(max_length=63)
    placement_gpu = models.CharField(max_length=8, default="binpack")
    placement_cpu = models.CharField(max_length=8, default="binpack")
    network_topology = models.ForeignKey(
        "NetworkTopology", null=True, on_delete=models.SET_NULL, related_name="node_pools"
    )
    delete_requested_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=200)
    updated_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = NodePoolQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "name"], name="node_pool_once_per_cluster"),
            models.UniqueConstraint(fields=["cluster", "label_key", "label_value"], name="node_pool_label_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_default(self) -> bool:
        return self.name == labels.DEFAULT_NODE_POOL


class NetworkTopology(BaseModel):
    """Levels of a cluster's network as node labels, from the widest down: block, rack, host."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="topologies")
    name = models.CharField(max_length=63)
    levels = models.JSONField(default=list)
    created_by = models.CharField(max_length=200)

    objects = NetworkTopologyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="topology_once_per_cluster")]

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """One node as last reported. Amounts: milli-GPU, milli-cores, bytes, MiB of GPU memory."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="nodes")
    uid = models.UUIDField()
    name = models.CharField(max_length=253)
    node_pool = models.CharField(max_length=63)
    status = models.CharField(max_length=16)
    simulated = models.BooleanField(default=False)
    unschedulable = models.BooleanField(default=False)
    gpu_type = models.CharField(max_length=128, blank=True)
    gpu_memory_mib = models.PositiveIntegerField(null=True)
    gpu_count = models.PositiveIntegerField(default=0)
    gpu_allocatable_milli = models.PositiveIntegerField(default=0)
    gpu_allocated_milli = models.PositiveIntegerField(default=0)
    cpu_allocatable_milli = models.BigIntegerField(default=0)
    cpu_allocated_milli = models.BigIntegerField(default=0)
    memory_allocatable_bytes = models.BigIntegerField(default=0)
    memory_allocated_bytes = models.BigIntegerField(default=0)
    pods = models.PositiveIntegerField(default=0)
    devices = models.JSONField(default=list)
    conditions = models.JSONField(default=list)
    taints = models.JSONField(default=list)
    labels = models.JSONField(default=dict)
    kubelet_version = models.CharField(max_length=64, blank=True)
    node_created_at = models.DateTimeField()
    report_seq = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    objects = NodeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "uid"], name="node_once_per_cluster")]
        indexes = [models.Index(fields=["cluster", "node_pool"], name="node_by_pool")]

    def __str__(self) -> str:
        return self.name
