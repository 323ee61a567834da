"""Departments: the groups that projects belong to, in one cluster, with a quota of their own."""

from dataclasses import dataclass, field

from django.db import transaction

from access.grants import Actor
from access.models import ScopeKind
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.bootstrap import system_actor
from access.services.rules import drop_rules_on, publish_cluster_rules
from access.services.scopes import add_scope, remove_scope, set_ref
from agent.wire.objects import PoolQuota
from clusters.models import Cluster, NodePool
from clusters.services.clusters import not_leaving
from projects import rules
from projects.documents import pool_quotas, publish_department, publish_project, withdraw
from projects.models import Department, Project
from projects.names import name_error
from projects.services.quotas import write_quotas
from projects.versions import plain_difference, quota_difference, raise_version, take_turn
from runai_cp.lib.errors import Conflict, FieldError, Invalid

DEFAULT = "default"
MAX_DESCRIPTION = 250


@dataclass(frozen=True, slots=True)
class CreateDepartment:
    name: str
    cluster: Cluster
    description: str = ""
    quotas: tuple[PoolQuota, ...] = ()
    default_node_pools: tuple[str, ...] = ()
    scheduling_rules: rules.Rules = field(default_factory=dict)
    node_types: rules.Types = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpdateOrgUnit:
    """New values of a department or project; None leaves one as it is. ``version``: the one they were made from."""

    description: str | None = None
    quotas: tuple[PoolQuota, ...] | None = None
    default_node_pools: tuple[str, ...] | None = None
    enforce_runai_scheduler: bool | None = None
    scheduling_rules: rules.Rules | None = None
    node_types: rules.Types | None = None
    version: int | None = None


@transaction.atomic
def create_department(*, actor: Actor, request: CreateDepartment) -> Department:
    """Raises ``Invalid``, ``Conflict``, ``NotAllowed``."""
    require(actor, Action.DEPARTMENT_CREATE, request.cluster.scope)
    not_leaving(request.cluster)
    check_unit(request.cluster, request.name, request.description, request.default_node_pools)
    scope = add_scope(kind=ScopeKind.DEPARTMENT, name=request.name, parent=request.cluster.scope)
    department = Department.objects.create(
        scope=scope,
        cluster=request.cluster,
        description=request.description,
        default_node_pools=list(request.default_node_pools),
        scheduling_rules=dict(request.scheduling_rules),
        node_types=dict(request.node_types),
        created_by=actor.name,
        updated_by=actor.name,
    )
    set_ref(scope, department.pk)
    write_quotas(department, request.quotas)
    record_unit(actor, "create", department, after={"name": request.name, "description": request.description})
    publish_department(department)
    return department


def ensure_default_department(cluster: Cluster) -> Department:
    """The department ``default`` of a cluster, made if it is not there yet. Safe to repeat and to race."""
    found = Department.objects.filter(cluster=cluster, scope__name=DEFAULT).select_related("scope").first()
    if found is not None:
        return found
    try:
        return create_department(actor=system_actor(), request=CreateDepartment(DEFAULT, cluster))
    except Conflict:
        return Department.objects.select_related("scope").get(cluster=cluster, scope__name=DEFAULT)


@transaction.atomic
def update_department(*, actor: Actor, department: Department, request: UpdateOrgUnit) -> Department:
    """Raises ``Invalid``, ``NotAllowed``, ``Changed``. Projects that inherit what changed are published again."""
    require(actor, Action.DEPARTMENT_UPDATE, department.scope)
    apply_update(actor, department, request)
    publish_department(department)
    inherited = (request.default_node_pools, request.scheduling_rules, request.node_types)
    if any(value is not None for value in inherited):
        for project in department.projects.present().select_related("scope", "department__scope"):
            publish_project(project)
    return department


@transaction.atomic
def delete_department(*, actor: Actor, department: Department) -> None:
    """Raises ``Conflict`` while it has projects: those are deleted one by one, with their workloads counted.

    The row is locked before they are counted: a project that is made at the same time is seen, or is refused.
    """
    require(actor, Action.DEPARTMENT_DELETE, department.scope)
    not_leaving(department.cluster)
    take_turn(department, None)
    count = department.projects.count()
    if count:
        words = "1 project; delete it" if count == 1 else f"{count} projects; delete them"
        raise Conflict(f"The department {department.name} has {words} first.")
    record_unit(actor, "delete", department, before={"name": department.name})
    withdraw(department)
    scope, cluster_scope = department.scope, department.cluster.scope
    drop_rules_on(scope)
    department.delete()
    remove_scope(scope)
    publish_cluster_rules(cluster_scope)


def apply_update(actor: Actor, unit: Department | Project, request: UpdateOrgUnit) -> None:
    """Write what changed on the row, its quotas and the audit entry; the caller publishes."""
    not_leaving(unit.cluster)
    take_turn(unit, request.version, lambda: _difference(unit, request))
    before = facts(unit)
    pools = request.default_node_pools
    check_unit(unit.cluster, None, request.description or "", pools or ())
    if isinstance(unit, Project):
        check_rules(unit.department, request.scheduling_rules or {}, request.node_types or {})
        if request.enforce_runai_scheduler is not None:
            unit.enforce_runai_scheduler = request.enforce_runai_scheduler
    if request.description is not None:
        unit.description = request.description
    if pools is not None:
        unit.default_node_pools = list(pools)
    if request.scheduling_rules is not None:
        unit.scheduling_rules = dict(request.scheduling_rules)
    if request.node_types is not None:
        unit.node_types = dict(request.node_types)
    unit.save()
    if request.quotas is not None:
        write_quotas(unit, request.quotas)
    raise_version(unit, actor.name)
    record_unit(actor, "update", unit, before=before, after=facts(unit))


def facts(unit: Department | Project) -> dict[str, object]:
    return {
        "description": unit.description,
        "defaultNodePools": unit.default_node_pools,
        "schedulingRules": unit.scheduling_rules,
        "nodeTypes": unit.node_types,
    }


def _difference(unit: Department | Project, request: UpdateOrgUnit) -> dict[str, str]:
    given: dict[str, object] = {
        "description": request.description,
        "defaultNodePools": None if request.default_node_pools is None else list(request.default_node_pools),
        "schedulingRules": request.scheduling_rules,
        "nodeTypes": request.node_types,
    }
    plain = plain_difference(facts(unit), {name: value for name, value in given.items() if value is not None})
    return plain | quota_difference(pool_quotas(unit), request.quotas or ())


def check_rules(department: Department, own: rules.Rules, types: rules.Types) -> None:
    """Raises ``Invalid`` where a project would allow more than its department."""
    errors = rules.loosened(own, types, department.scheduling_rules, department.node_types)
    if errors:
        raise Invalid(*errors)


def check_unit(cluster: Cluster, name: str | None, description: str, pools: tuple[str, ...]) -> None:
    """Raises ``Invalid`` with every problem of the plain fields; ``name`` None is not checked."""
    errors: list[FieldError] = []
    wrong = name_error(name) if name is not None else None
    if wrong:
        errors.append(FieldError("name", wrong, name))
    if len(description) > MAX_DESCRIPTION or "\x00" in description:
        message = f"must have at most {MAX_DESCRIPTION} characters, and no NUL"
        errors.append(FieldError("description", message, description))
    known = set(NodePool.objects.filter(cluster=cluster).values_list("name", flat=True)) if pools else set()
    unknown = [pool for pool in pools if pool not in known]
    if unknown:
        errors.append(FieldError("defaultNodePools", f"unknown; allowed are {sorted(known)}", unknown, sorted(known)))
    if errors:
        raise Invalid(*errors)


def record_unit(actor: Actor, action: str, unit: Department | Project, **values: object) -> None:
    record(
        actor=actor,
        action=action,
        entity_type=unit.scope.kind,
        entity_id=unit.pk,
        entity_name=unit.name,
        scope_path=unit.scope.path,
        **values,
    )
