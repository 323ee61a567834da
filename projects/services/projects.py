"""Projects: made in a department, published to the cluster, and removed together with what runs in them."""

from dataclasses import dataclass, field

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from access.grants import Actor
from access.models import ScopeKind
from access.permissions import require
from access.roles import Action
from access.services.rules import drop_rules_on, publish_cluster_rules
from access.services.scopes import add_scope, remove_scope, set_ref
from agent.wire.labels import project_namespace
from agent.wire.objects import PoolQuota
from clusters.models import Cluster
from clusters.services.clusters import not_leaving
from link import services as link
from projects import rules
from projects.documents import publish_project, withdraw
from projects.models import Department, Project, ProjectPhase
from projects.names import namespace_error
from projects.services.departments import (
    UpdateOrgUnit,
    apply_update,
    check_rules,
    check_unit,
    ensure_default_department,
    record_unit,
)
from projects.services.quotas import write_quotas
from projects.versions import take_turn
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.nudge import nudge


@dataclass(frozen=True, slots=True)
class CreateProject:
    """``department`` None is the cluster's ``default``; ``namespace`` empty is ``runai-<name>``."""

    name: str
    cluster: Cluster
    department: Department | None = None
    namespace: str = ""
    description: str = ""
    quotas: tuple[PoolQuota, ...] = ()
    default_node_pools: tuple[str, ...] = ()
    enforce_runai_scheduler: bool = True
    scheduling_rules: rules.Rules = field(default_factory=dict)
    node_types: rules.Types = field(default_factory=dict)


@transaction.atomic
def create_project(*, actor: Actor, request: CreateProject) -> Project:
    """A project whose namespace, queues and role bindings the cluster makes next. Raises ``Invalid``, ``Conflict``.

    Names are unique in a cluster, whatever the department: the name is the queue's and the namespace's.
    """
    if request.department is None:
        require(actor, Action.PROJECT_CREATE, request.cluster.scope)
    department = request.department or ensure_default_department(request.cluster)
    require(actor, Action.PROJECT_CREATE, department.scope)
    not_leaving(request.cluster)
    take_turn(department, None)  # it is not deleted meanwhile
    _check(request, department)
    scope = add_scope(kind=ScopeKind.PROJECT, name=request.name, parent=department.scope)
    project = _insert(actor, request, department, scope)
    set_ref(scope, project.pk)
    write_quotas(project, request.quotas)
    record_unit(actor, "create", project, after={"name": request.name, "department": department.name})
    publish_project(project)
    publish_cluster_rules(request.cluster.scope)
    return project


def _check(request: CreateProject, department: Department) -> None:
    check_unit(request.cluster, request.name, request.description, request.default_node_pools)
    if department.cluster_id != request.cluster.pk:
        raise Invalid(FieldError("parentId", "must be a department of the same cluster", str(department.pk)))
    check_rules(department, request.scheduling_rules, request.node_types)
    wrong = namespace_error(request.namespace) if request.namespace else None
    if wrong:
        raise Invalid(FieldError("requestedNamespace", wrong, request.namespace))
    if Project.objects.filter(cluster=request.cluster, scope__name=request.name).exists():
        raise Conflict(f"A project named {request.name!r} exists already in the cluster {request.cluster.name}.")


def _insert(actor: Actor, request: CreateProject, department: Department, scope: object) -> Project:
    namespace = request.namespace or project_namespace(request.name)
    try:
        with transaction.atomic():
            return Project.objects.create(
                scope=scope,
                cluster=request.cluster,
                department=department,
                namespace=namespace,
                requested_namespace=request.namespace,
                description=request.description,
                default_node_pools=list(request.default_node_pools),
                enforce_runai_scheduler=request.enforce_runai_scheduler,
                scheduling_rules=dict(request.scheduling_rules),
                node_types=dict(request.node_types),
                created_by=actor.name,
                updated_by=actor.name,
            )
    except IntegrityError as error:
        raise Conflict(f"The namespace {namespace!r} belongs to another project of the cluster.") from error


@transaction.atomic
def update_project(*, actor: Actor, project: Project, request: UpdateOrgUnit) -> Project:
    """Raises ``Invalid``, ``NotAllowed``, ``Changed``."""
    require(actor, Action.PROJECT_UPDATE, project.scope)
    apply_update(actor, project, request)
    publish_project(project)
    return project


@transaction.atomic
def delete_project(*, actor: Actor, project: Project) -> None:
    """Ask for the end of a project: its workloads go first, then the namespace with everything in it.

    The row goes when the cluster reports that the project is gone, or with ``finish_removal``. Safe to repeat.
    """
    require(actor, Action.PROJECT_DELETE, project.scope)
    not_leaving(project.cluster)
    record_unit(actor, "delete", project, before={"name": project.name, "namespace": project.namespace})
    nudge("workloads.tasks.withdraw_project", connection.schema_name, project.pk)
    Project.objects.filter(pk=project.pk, delete_requested_at=None).update(
        delete_requested_at=timezone.now(),
        phase=ProjectPhase.DELETING,
        phase_message="Its workloads end, then its namespace is removed.",
        phase_since=timezone.now(),
    )
    withdraw(project)


def finish_removal(project: Project) -> None:
    """Forget a project that was asked to go and whose cluster never had an agent to clean up. Safe to repeat.

    Called by the workloads room once it has withdrawn the workloads.
    """
    if project.delete_requested_at is not None and _never_enrolled(project):
        remove_project(project)


def remove_project(project: Project) -> None:
    """Forget a project, its workloads' rows and its scope. Inside the caller's transaction."""
    withdraw(project)
    scope, cluster_scope = project.scope, project.cluster.scope
    drop_rules_on(scope)
    project.delete()
    remove_scope(scope)
    publish_cluster_rules(cluster_scope)


def _never_enrolled(project: Project) -> bool:
    alive = link.liveness([project.cluster_id]).get(project.cluster_id)
    return alive is None or alive.enrolled_at is None
