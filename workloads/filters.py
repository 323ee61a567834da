"""What the lists of the room can be filtered, sorted and searched by; the API and the console read the same tables."""

from datetime import datetime
from uuid import UUID

from django.db.models import F, FloatField, Func, Value
from django.db.models.functions import Cast

from runai_cp.lib.listing import Field, Listing
from workloads.querysets import WorkloadQuerySet

WORKLOADS = Listing(
    fields={
        "type": Field("type_name"),
        "name": Field("name"),
        "clusterId": Field("cluster_id", UUID),
        "projectId": Field("project_id", int),
        "projectName": Field("project__scope__name"),
        "departmentId": Field("project__department_id", int),
        "departmentName": Field("project__department__scope__name"),
        "createdAt": Field("created_at", datetime),
        "deletedAt": Field("deleted_at", datetime),
        "submittedBy": Field("submitted_by"),
        "phase": Field("phase"),
        "completedAt": Field("completed_at", datetime),
        "nodepool": Field("node_pools__0"),
        "distributedFramework": Field("framework"),
        "allocatedGPU": Field("allocated_gpu", float),
        "phaseUpdatedAt": Field("phase_since", datetime),
        "category": Field("category"),
        "priority": Field("priority", int),
        "priorityClassName": Field("priority_class"),
    },
    search_paths=("name", "project__scope__name", "submitted_by", "image"),
    default_sort=("-created_at",),
)

PODS = Listing(
    fields={
        "clusterId": Field("cluster_id", UUID),
        "workloadId": Field("workload_id", UUID),
        "nodeName": Field("node"),
        "currentNodepool": Field("node_pool"),
        "createdAt": Field("created_at", datetime),
        "completedAt": Field("finished_at", datetime),
        "deletedAt": Field("deleted_at", datetime),
    },
    search_paths=("name", "node"),
    default_sort=("-created_at",),
)


def listed(rows: WorkloadQuerySet) -> WorkloadQuerySet:
    """The rows with the columns that ``WORKLOADS`` computes: the type's public name, and allocated devices."""
    return rows.annotate(
        type_name=Func(F("type"), function="initcap"),
        allocated_gpu=Cast(F("allocated_gpu_milli"), FloatField()) / Value(1000.0),
    )
