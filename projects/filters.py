"""What the lists of departments and projects can be filtered, sorted and searched by."""

from datetime import datetime
from uuid import UUID

from django.db.models import F, FloatField, Value
from django.db.models.functions import Cast

from projects.querysets import DepartmentQuerySet, ProjectQuerySet, with_listed_quotas
from runai_cp.lib.listing import Field, Listing

_COMMON = {
    "name": Field("scope__name"),
    "clusterId": Field("cluster_id", UUID),
    "createdAt": Field("created_at", datetime),
    "totalGpuQuota": Field("gpu_quota", float),
    "gpuAllocated": Field("gpu_allocated", float),
}

DEPARTMENTS = Listing(fields=_COMMON, search_paths=("scope__name", "description"), default_sort=("scope__name",))

PROJECTS = Listing(
    fields={
        **_COMMON,
        "departmentId": Field("department_id", int),
        "parentId": Field("department_id", int),
        "parentName": Field("department__scope__name"),
        "phase": Field("phase"),
    },
    search_paths=("scope__name", "description", "department__scope__name"),
    default_sort=("scope__name",),
)


def listed(rows: DepartmentQuerySet | ProjectQuerySet) -> DepartmentQuerySet | ProjectQuerySet:
    """Rows with quota, and with the sums the lists compute, in devices. ``with_quota`` names them in milli-GPU."""
    devices = {
        "gpu_quota": Cast(F("gpu_quota_milli"), FloatField()) / Value(1000.0),
        "gpu_allocated": Cast(F("gpu_allocated_milli"), FloatField()) / Value(1000.0),
    }
    return with_listed_quotas(rows.with_sums()).annotate(**devices)
