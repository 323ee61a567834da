"""REST of resources: quotas and ranks of one unit, ranks there are, and resets of many units at once."""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.models import NodePool
from projects import quotas, services
from projects.api.resources import read_resources
from projects.api.resources import resources as resources_json
from projects.api.views import again, department_of, project_of
from projects.models import Department, Project
from projects.services.resets import RESETS, reset_quotas
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid

Json = dict[str, Any]
MAX_POOLS = 5
"""Node pools of one reset, as in the contract."""


class DepartmentResourcesView(ApiView):
    """PUT replaces the list; PATCH changes the node pools it names. Both answer with all of them.

    GET is ours: its ``ETag`` is the unit's version, and a change with ``If-Match`` that comes second is refused (412)
    with the difference.
    """

    allow: ClassVar[dict[str, Any]] = {
        "GET": Action.DEPARTMENT_VIEW,
        "PUT": Action.DEPARTMENT_UPDATE,
        "PATCH": Action.DEPARTMENT_UPDATE,
    }
    find = staticmethod(department_of)

    def get(self, request: Request, unit_id: str) -> Response:
        return _answer(type(self).find(self.actor, unit_id))

    def put(self, request: Request, unit_id: str) -> Response:
        return self._write(request, unit_id, merge=False)

    def patch(self, request: Request, unit_id: str) -> Response:
        return self._write(request, unit_id, merge=True)

    def _change_if(self, handler: Any, wanted: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        return handler(request, *args, **kwargs)  # type: ignore[no-any-return]  # the service compares versions

    def _write(self, request: Request, unit_id: str, *, merge: bool) -> Response:
        row = type(self).find(self.actor, unit_id)
        wanted = read_resources(request.data, list(NodePool.objects.filter(cluster_id=row.cluster_id)))
        version = _expected(request.headers.get("If-Match"))
        services.set_quotas(actor=self.actor, owner=row, wanted=wanted, merge=merge, version=version)
        return _answer(again(row))


class ProjectResourcesView(DepartmentResourcesView):
    allow = {"GET": Action.PROJECT_VIEW, "PUT": Action.PROJECT_UPDATE, "PATCH": Action.PROJECT_UPDATE}
    find = staticmethod(project_of)


class PrioritiesView(ApiView):
    """The ranks that ``priority`` of a resource may name."""

    allow = {"GET": Action.PROJECT_VIEW}

    def get(self, request: Request) -> Response:
        rows = [
            {"name": name, "value": value, "isDefault": value == quotas.DEFAULT_RANK}
            for name, value in quotas.RANKS.items()
        ]
        return Response({"priorities": rows})


class ResetDepartmentsView(ApiView):
    """``DepartmentsResourcesResetRequest`` and ``ProjectsResourcesResetRequest`` of the contract; its path is ours."""

    allow = {"POST": Action.DEPARTMENT_UPDATE}
    model: ClassVar[type[Department] | type[Project]] = Department

    def post(self, request: Request) -> Response:
        data = body(request)
        parent = data.get("parentId") if self.model is Project else None
        changed = reset_quotas(
            actor=self.actor,
            model=self.model,
            cluster_id=_uuid(data),
            pool_ids=_pool_ids(data),
            action=str(data.get("action")),
            department=department_of(self.actor, str(parent)) if parent is not None else None,
        )
        return Response({"changed": changed})


class ResetProjectsView(ResetDepartmentsView):
    allow = {"POST": Action.PROJECT_UPDATE}
    model = Project


def _answer(row: Department | Project) -> Response:
    return Response(resources_json(row.quotas.all()), headers={"ETag": f'"{row.version}"'})


def _expected(header: str | None) -> int | None:
    """The version in ``If-Match``; 0, which no unit has, for a tag that is not ours."""
    if header is None or header.strip() == "*":
        return None
    text = header.strip().removeprefix("W/").strip('"')
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _uuid(data: Json) -> UUID:
    try:
        return UUID(str(data.get("clusterId")))
    except ValueError as error:
        raise Invalid(FieldError("clusterId", "must be the uuid of a cluster", data.get("clusterId"))) from error


def _pool_ids(data: Json) -> tuple[int, ...]:
    given = data.get("nodePoolIds")
    good = isinstance(given, list) and all(str(item).isascii() and str(item).isdigit() for item in given)
    if not good or not 1 <= len(given) <= MAX_POOLS:
        raise Invalid(FieldError("nodePoolIds", f"must be a list of 1 to {MAX_POOLS} ids of node pools", given))
    if data.get("action") not in RESETS:
        raise Invalid(FieldError("action", f"must be one of {', '.join(RESETS)}", data.get("action"), list(RESETS)))
    return tuple(int(item) for item in given)
