"""REST of departments and projects: list, count, make, change, remove. Their resources: ``projects.api.quotas``."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.grants import Actor
from access.roles import Action
from clusters.models import Cluster, NodePool
from projects import rules, services
from projects.api import shapes
from projects.api.resources import read_resources
from projects.filters import DEPARTMENTS, PROJECTS, listed
from projects.models import Department, Project
from projects.versions import Changed, plain_difference
from runai_cp.lib.api import body, choice
from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotFound
from runai_cp.lib.garbage import collector_held

Json = dict[str, Any]


def department_of(actor: Actor, department_id: str) -> Department:
    return _one(listed(Department.objects.visible_to(actor).with_names()), department_id)


def project_of(actor: Actor, project_id: str) -> Project:
    return _one(listed(Project.objects.visible_to(actor).with_names()), project_id)


def _one(rows: Any, identity: str) -> Any:
    """Raises ``NotFound`` for a number that is none and for a row that is hidden."""
    number = int(identity) if identity.isascii() and identity.isdigit() else -1
    found = rows.filter(pk=number).first() if 0 < number < 2**31 else None
    if found is None:
        raise NotFound()
    return found


def again(row: Any) -> Any:
    """The row as it is now, with its quotas: what a write answers with."""
    return listed(type(row).objects.with_names()).get(pk=row.pk)


def _cluster(actor: Actor, value: object) -> Cluster:
    try:
        found = Cluster.objects.visible_to(actor).with_name().filter(pk=UUID(str(value))).first()
    except ValueError:
        found = None
    if found is None:
        raise Invalid(FieldError("clusterId", "must be the uuid of a cluster that you can see", value))
    return found  # type: ignore[no-any-return]


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    if not isinstance(value, (str, type(None))):
        raise Invalid(FieldError(name, "must be text", value))
    return value or ""


def _pools(data: Json) -> tuple[str, ...] | None:
    value = data.get("defaultNodePools")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Invalid(FieldError("defaultNodePools", "must be a list of names of node pools", value))
    return tuple(value)


def _quotas(data: Json, cluster_id: UUID) -> Any:
    if data.get("resources") is None:
        return None
    return read_resources(data["resources"], list(NodePool.objects.filter(cluster_id=cluster_id)))


def _rules(data: Json) -> tuple[rules.Rules, rules.Types]:
    """Raises ``Invalid`` with everything that is wrong with the body's rules and node types."""
    limits, errors = rules.read_rules(data.get("schedulingRules"))
    types, more = rules.read_types(data.get("nodeTypes"))
    if errors or more:
        raise Invalid(*errors, *more)
    return limits, types


def _update(data: Json, cluster_id: UUID) -> services.UpdateOrgUnit:
    """What a body changes. ``version``, if given, must be the one that the caller read."""
    limits, types = _rules(data)
    enforce = data.get("enforceRunaiScheduler")
    return services.UpdateOrgUnit(
        description=_text(data, "description") if data.get("description") is not None else None,
        quotas=_quotas(data, cluster_id),
        default_node_pools=_pools(data),
        enforce_runai_scheduler=enforce if isinstance(enforce, bool) else None,
        scheduling_rules=limits if "schedulingRules" in data else None,
        node_types=types if "nodeTypes" in data else None,
        version=_version(data.get("version")),
    )


def _version(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31):
        raise Invalid(FieldError("version", "must be the version that you read, a whole number", value))
    return value


class DepartmentsView(ApiView):
    allow = {"GET": Action.DEPARTMENT_VIEW, "POST": Action.DEPARTMENT_CREATE}
    listing = DEPARTMENTS

    def get(self, request: Request) -> Response:
        choice(request, "verbosity", ("meta", "brief", "verbose"), "verbose")
        rows = listed(Department.objects.visible_to(self.actor).with_names())
        page = DEPARTMENTS.page(rows, DEPARTMENTS.parse(request.query_params))
        return Response(page.envelope("departments", [shapes.department(row) for row in page.rows]))

    def post(self, request: Request) -> Response:
        data = body(request)
        limits, types = _rules(data)
        cluster = _cluster(self.actor, data.get("clusterId"))
        asked = services.CreateDepartment(
            name=_text(data, "name"),
            cluster=cluster,
            description=_text(data, "description"),
            quotas=_quotas(data, cluster.pk) or (),
            default_node_pools=_pools(data) or (),
            scheduling_rules=limits,
            node_types=types,
        )
        made = services.create_department(actor=self.actor, request=asked)
        return Response(shapes.department(again(made)), status=201)


class DepartmentsCountView(ApiView):
    allow = {"GET": Action.DEPARTMENT_VIEW}
    listing = DEPARTMENTS

    def get(self, request: Request) -> Response:
        rows = listed(Department.objects.visible_to(self.actor))
        return Response({"count": DEPARTMENTS.count(rows, DEPARTMENTS.parse(request.query_params))})


class UnitView(ApiView):
    """With ``If-Match`` a change that comes second is refused with what differs from the object as it is now."""

    def _change_if(self, handler: Any, wanted: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            return super()._change_if(handler, wanted, request, *args, **kwargs)  # type: ignore[no-any-return, misc]
        except DomainError as error:
            if error.status != Changed.status or not isinstance(request.data, dict):
                raise
            now = self.get(request, *args, **kwargs).data  # type: ignore[attr-defined]
            raise Changed(error.message, **plain_difference(now, request.data)) from error


class DepartmentView(UnitView):
    allow = {
        "GET": Action.DEPARTMENT_VIEW,
        "PUT": Action.DEPARTMENT_UPDATE,
        "DELETE": Action.DEPARTMENT_DELETE,
    }

    def get(self, request: Request, unit_id: str) -> Response:
        return Response(shapes.department(department_of(self.actor, unit_id)))

    def put(self, request: Request, unit_id: str) -> Response:
        row = department_of(self.actor, unit_id)
        asked = _update(body(request), row.cluster_id)
        services.update_department(actor=self.actor, department=row, request=asked)
        return Response(shapes.department(again(row)))

    def delete(self, request: Request, unit_id: str) -> Response:
        services.delete_department(actor=self.actor, department=department_of(self.actor, unit_id))
        return Response(status=204)


class ProjectsView(ApiView):
    allow = {"GET": Action.PROJECT_VIEW, "POST": Action.PROJECT_CREATE}
    listing = PROJECTS

    def get(self, request: Request) -> Response:
        rows = listed(Project.objects.visible_to(self.actor).with_shared_names())
        with collector_held():  # 300 projects in 12 node pools are four thousand objects
            page = PROJECTS.page(rows, PROJECTS.parse(request.query_params))
            return Response(page.envelope("projects", [shapes.project(row) for row in page.rows]))

    def post(self, request: Request) -> Response:
        data = body(request)
        limits, types = _rules(data)
        cluster = _cluster(self.actor, data.get("clusterId"))
        parent = str(data["parentId"]) if data.get("parentId") is not None else None
        asked = services.CreateProject(
            name=_text(data, "name"),
            cluster=cluster,
            department=self._parent(parent),
            namespace=_text(data, "requestedNamespace"),
            description=_text(data, "description"),
            quotas=_quotas(data, cluster.pk) or (),
            default_node_pools=_pools(data) or (),
            enforce_runai_scheduler=data.get("enforceRunaiScheduler") is not False,
            scheduling_rules=limits,
            node_types=types,
        )
        made = services.create_project(actor=self.actor, request=asked)
        return Response(shapes.project(again(made)), status=201)

    def _parent(self, parent: str | None) -> Department | None:
        try:
            return department_of(self.actor, parent) if parent is not None else None
        except NotFound as error:
            raise Invalid(FieldError("parentId", "must be the id of a department that you can see", parent)) from error


class ProjectsCountView(ApiView):
    allow = {"GET": Action.PROJECT_VIEW}
    listing = PROJECTS

    def get(self, request: Request) -> Response:
        rows = listed(Project.objects.visible_to(self.actor))
        return Response({"count": PROJECTS.count(rows, PROJECTS.parse(request.query_params))})


class ProjectView(UnitView):
    allow = {"GET": Action.PROJECT_VIEW, "PUT": Action.PROJECT_UPDATE, "DELETE": Action.PROJECT_DELETE}

    def get(self, request: Request, unit_id: str) -> Response:
        return Response(shapes.project(project_of(self.actor, unit_id)))

    def put(self, request: Request, unit_id: str) -> Response:
        row = project_of(self.actor, unit_id)
        asked = _update(body(request), row.cluster_id)
        services.update_project(actor=self.actor, project=row, request=asked)
        return Response(shapes.project(again(row)))

    def delete(self, request: Request, unit_id: str) -> Response:
        services.delete_project(actor=self.actor, project=project_of(self.actor, unit_id))
        return Response({"code": 202, "message": "Request has been accepted."}, status=202)
