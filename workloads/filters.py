"""What the lists of the room can be filtered, sorted and searched by; the API and the console read the same tables."""

from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, Case, F, FloatField, Func, Q, TextField, Value, When
from django.db.models.functions import Cast

from agent.wire.phases import FINAL
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

CONSOLE = Listing(
    fields={
        "name": Field("name"),
        "phase": Field("phase"),
        "finished": Field("finished", bool, sortable=False),
        "type": Field("type"),
        "project": Field("project__scope__name"),
        "department": Field("project__department__scope__name"),
        "cluster": Field("cluster__scope__name"),
        "pool": Field("pools_text", sortable=False),
        "gpu": Field("requested_gpu_milli", int, filterable=False),
        "allocated": Field("allocated_gpu_milli", int, filterable=False),
        "priority": Field("priority", int),
        "priorityClass": Field("priority_class"),
        "preemptible": Field("preemptible", bool),
        "framework": Field("framework"),
        "image": Field("image"),
        "owner": Field("submitted_by"),
        "mine": Field("mine", bool, sortable=False),
        "source": Field("source"),
        "age": Field("created_at", datetime),
        "since": Field("phase_since", datetime),
        "started": Field("started_at", datetime),
        "completed": Field("completed_at", datetime),
        "deleted": Field("is_deleted", bool, sortable=False),
    },
    search_paths=("name",),
    default_sort=("-created_at",),
)
"""The console's list. Its own words: they stand in addresses that people keep."""

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


def selectable(rows: WorkloadQuerySet, owner: str) -> WorkloadQuerySet:
    """The rows with what ``CONSOLE`` filters by beside columns; selected nowhere, so that a list costs no more.

    ``owner`` is whose are "mine".
    """
    return rows.alias(
        finished=_whether(Q(phase__in=FINAL)),
        mine=_whether(Q(submitted_by=owner)),
        is_deleted=_whether(Q(deleted_at__isnull=False)),
        pools_text=Cast("requested_node_pools", TextField()),
    )


def _whether(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
