"""Tables of the projects room. Ids of departments and projects are small numbers: the public API shows digits."""

from django.db import models

from access.models import Scope
from agent.wire.objects import UNLIMITED
from clusters.models import Cluster, NodePool
from projects.querysets import DepartmentQuerySet, ProjectQuerySet


class OrgUnit(models.Model):
    """What a department and a project have in common. The name is the scope's."""

    id = models.AutoField(primary_key=True)
    scope = models.OneToOneField(Scope, on_delete=models.CASCADE, related_name="+")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+")
    description = models.CharField(max_length=250, blank=True)
    default_node_pools = models.JSONField(default=list)
    scheduling_rules = models.JSONField(default=dict)
    """Time limits in seconds by the API's names (``projects.rules``); what is not named is not limited here."""
    node_types = models.JSONField(default=dict)
    """``training`` and ``workspace``: node types that workloads of the kind may use; absent: all."""
    version = models.PositiveIntegerField(default=1)
    """Raised by every change of a person, quotas too: two who save at once see each other (``projects.versions``)."""
    created_by = models.CharField(max_length=200)
    updated_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    delete_requested_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.scope.name


class Department(OrgUnit):
    objects = DepartmentQuerySet.as_manager()

    class Meta:
        ordering = ["id"]


class ProjectPhase(models.TextChoices):
    CREATING = "Creating"
    READY = "Ready"
    NOT_READY = "NotReady"
    DELETING = "Deleting"


class Project(OrgUnit):
    department = models.ForeignKey(Department, on_delete=models.CASCADE, related_name="projects")
    namespace = models.CharField(max_length=63)
    requested_namespace = models.CharField(max_length=63, blank=True)
    enforce_runai_scheduler = models.BooleanField(default=True)
    phase = models.CharField(max_length=16, choices=ProjectPhase.choices, default=ProjectPhase.CREATING)
    phase_message = models.CharField(max_length=1024, blank=True)
    phase_since = models.DateTimeField(auto_now_add=True)
    report_seq = models.BigIntegerField(default=0)
    object_uid = models.CharField(max_length=100, blank=True, db_index=True)
    """Uid of the cluster's object, under which its removal is reported."""

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "namespace"], name="project_namespace_once_per_cluster")
        ]


class Quota(models.Model):
    """Entitlement of one department or project in one node pool, and what its queue held at the last report.

    ``deserved`` and ``limit`` are -1 for unlimited; weights are thousandths. Units: milli-GPU, milli-cores, bytes.
    """

    department = models.ForeignKey(Department, null=True, on_delete=models.CASCADE, related_name="quotas")
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="quotas")
    node_pool = models.ForeignKey(NodePool, on_delete=models.CASCADE, related_name="+")
    gpu_deserved_milli = models.BigIntegerField(default=0)
    gpu_limit_milli = models.BigIntegerField(default=UNLIMITED)
    gpu_weight = models.IntegerField(default=1000)
    cpu_deserved_milli = models.BigIntegerField(default=UNLIMITED)
    cpu_limit_milli = models.BigIntegerField(default=UNLIMITED)
    cpu_weight = models.IntegerField(default=1000)
    memory_deserved_bytes = models.BigIntegerField(default=UNLIMITED)
    memory_limit_bytes = models.BigIntegerField(default=UNLIMITED)
    memory_weight = models.IntegerField(default=1000)
    priority = models.IntegerField(default=100)

    allocated_gpu_milli = models.BigIntegerField(default=0)
    allocated_non_preemptible_gpu_milli = models.BigIntegerField(default=0)
    requested_gpu_milli = models.BigIntegerField(default=0)
    fair_share_gpu_milli = models.BigIntegerField(null=True)
    allocated_cpu_milli = models.BigIntegerField(default=0)
    allocated_memory_bytes = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["node_pool_id"]
        constraints = [
            models.UniqueConstraint(fields=["department", "node_pool"], name="quota_once_per_department_and_pool"),
            models.UniqueConstraint(fields=["project", "node_pool"], name="quota_once_per_project_and_pool"),
            models.CheckConstraint(
                condition=models.Q(department=None) ^ models.Q(project=None), name="quota_of_one_owner"
            ),
            models.CheckConstraint(
                condition=models.Q(gpu_deserved_milli__gte=0, gpu_limit_milli__gte=-1, gpu_weight__gte=0),
                name="quota_amounts_sane",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.department or self.project} in {self.node_pool}"
