"""Telemetry of departments and projects: quota and allocation now, from their quotas' rows. One query each."""

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.api.telemetry import cluster_filter
from projects.models import Department, Project, Quota
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.telemetry import answer, choice, grouped, groups_of

MB = 10**6
TYPES: dict[str, tuple[str, float]] = {
    "GPU_QUOTA": ("gpu_deserved_milli", 1000),
    "CPU_QUOTA": ("cpu_deserved_milli", 1),
    "MEMORY_QUOTA": ("memory_deserved_bytes", MB),
    "GPU_ALLOCATION": ("allocated_gpu_milli", 1000),
    "CPU_ALLOCATION": ("allocated_cpu_milli", 1),
    "MEMORY_ALLOCATION": ("allocated_memory_bytes", MB),
    "GPU_ALLOCATION_NON_PREEMPTIBLE": ("allocated_non_preemptible_gpu_milli", 1000),
}
"""Type → column and its parts in one unit: devices, milli-cores, MB. Unlimited quotas count as nothing in a sum."""


DECLINED = dict.fromkeys(
    ("CPU_ALLOCATION_NON_PREEMPTIBLE", "MEMORY_ALLOCATION_NON_PREEMPTIBLE"),
    "queues tell what is not preemptible for GPUs alone",
)


class DepartmentsTelemetryView(ApiView):
    """A department's quota is its own; what it holds is what its projects hold."""

    allow = {"GET": Action.DEPARTMENT_VIEW}

    def get(self, request: Request) -> Response:
        kind = choice(request, "telemetryType", TYPES, DECLINED)
        keys = groups_of(request, ["CLUSTER_ID"])
        departments = Department.objects.visible_to(self.actor)
        if number := request.query_params.get("departmentId"):
            departments = departments.filter(pk=_number("departmentId", number))
        if kind.endswith("QUOTA"):
            rows, path = Quota.objects.filter(department__in=departments), "department__cluster_id"
        else:
            rows, path = Quota.objects.filter(project__department__in=departments), "project__cluster_id"
        return _answer(request, kind, rows, {key: path for key in keys}, path)


class ProjectsTelemetryView(ApiView):
    allow = {"GET": Action.PROJECT_VIEW}
    groups = {"ClusterId": "project__cluster_id", "NodepoolId": "node_pool_id", "ParentId": "project__department_id"}

    def get(self, request: Request) -> Response:
        kind = choice(request, "telemetryType", TYPES, DECLINED)
        keys = {key: self.groups[key] for key in groups_of(request, self.groups)}
        projects = Project.objects.visible_to(self.actor)
        if number := request.query_params.get("departmentId"):
            projects = projects.filter(department=_number("departmentId", number))
        return _answer(request, kind, Quota.objects.filter(project__in=projects), keys, "project__cluster_id")


def _answer(request: Request, kind: str, rows: "QuerySet[Any]", keys: dict[str, str], cluster_path: str) -> Response:
    column, scale = TYPES[kind]
    where = Q(**{f"{column}__gte": 0})
    if cluster := request.query_params.get("clusterId"):
        where &= Q(**{cluster_path: cluster_filter(cluster)})
    if pool := request.query_params.get("nodepoolId"):
        where &= Q(node_pool=_number("nodepoolId", pool))
    if name := request.query_params.get("nodepoolName"):
        where &= Q(node_pool__name=name)
    found = rows.filter(where).order_by().values(column, *set(keys.values()))
    return answer(kind, grouped(found, keys, lambda row: row[column] / scale))


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(FieldError(name, "must be an id of digits", text))
    return int(text)
