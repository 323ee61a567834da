"""REST of the preview (ours): what new quotas would do to running and pending workloads, before they are saved."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from agent.wire.objects import PoolQuota
from clusters.api.pools import visible_cluster
from clusters.models import NodePool
from projects.api.resources import read_resources
from projects.api.views import department_of, project_of
from projects.models import Department, Project
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.renderers import timestamp
from workloads.models import Workload
from workloads.services.effect import Preview, Touched, Unit, UnitShare, preview

Json = dict[str, Any]
MAX_UNITS = 500


class QuotaPreviewView(ApiView):
    """``{clusterId, departments: [{id, resources}], projects: [{id, resources}]}``; node pools not named stay."""

    allow = {"POST": Action.PROJECT_VIEW}
    idempotent = False

    def post(self, request: Request) -> Response:
        data = body(request)
        cluster = visible_cluster(self.actor, data.get("clusterId"))
        pools = list(NodePool.objects.filter(cluster=cluster))
        changes: dict[Unit, tuple[PoolQuota, ...]] = {}
        for name, find in (("departments", department_of), ("projects", project_of)):
            for index, item in enumerate(_items(data, name)):
                where = f"{name}[{index}]"
                try:
                    unit = find(self.actor, str(item.get("id")))
                except NotFound as error:
                    raise Invalid(FieldError(f"{where}.id", "must be one that you can see", item.get("id"))) from error
                changes[unit] = read_resources(item.get("resources"), pools)
        if not 1 <= len(changes) <= MAX_UNITS:
            raise Invalid(FieldError("projects", f"name 1 to {MAX_UNITS} departments and projects", len(changes)))
        return Response(_shape(preview(actor=self.actor, cluster=cluster, changes=changes)))


def _items(data: Json, name: str) -> list[Json]:
    value = data.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Invalid(FieldError(name, "must be a list of {id, resources}", value))
    return value


def _shape(found: Preview) -> Json:
    return {
        "asOf": timestamp(found.as_of),
        "plannedWorkloads": found.planned,
        "tookMs": found.took_ms,
        "problems": [
            {"field": item.field, "message": item.message, "given": item.given, "allowed": item.allowed}
            for item in found.problems
        ],
        "departments": [_share(row) for row in found.shares if isinstance(row.unit, Department)],
        "projects": [_share(row) for row in found.shares if isinstance(row.unit, Project)],
        "reclaimed": _touched(found.reclaimed),
        "starting": _touched(found.starting),
        "delayed": _touched(found.delayed),
    }


def _share(row: UnitShare) -> Json:
    return {
        "id": str(row.unit.pk),
        "name": row.unit.name,
        "nodePoolName": row.node_pool,
        "fairShareGpuBefore": row.before / 1000,
        "fairShareGpuAfter": row.after / 1000,
    }


def _touched(found: Touched) -> Json:
    return {"total": found.total, "workloads": [_workload(row) for row in found.workloads]}


def _workload(row: Workload) -> Json:
    return {
        "id": str(row.pk),
        "name": row.name,
        "type": row.type,
        "phase": row.phase,
        "projectId": str(row.project_id),
        "projectName": row.project.name,
        "requestedGpu": row.requested_gpu_milli / 1000,
        "preemptible": row.preemptible,
    }
