"""Departments and projects as the documents that their cluster shall hold: the row is the fact, this is its copy."""

from collections.abc import Iterable

from agent.wire import codec
from agent.wire.objects import (
    GROUP_VERSION,
    DepartmentSpec,
    NodeTypes,
    PoolQuota,
    ProjectSpec,
    ResourceQuota,
    SchedulingRules,
)
from link import services as link
from projects import rules
from projects.models import Department, Project, Quota


def pool_quota(quota: Quota) -> PoolQuota:
    """The row as the wire's frozen value. The row's node pool must be loaded."""
    return PoolQuota(
        node_pool=quota.node_pool.name,
        gpu=ResourceQuota(quota.gpu_deserved_milli, quota.gpu_limit_milli, quota.gpu_weight),
        cpu=ResourceQuota(quota.cpu_deserved_milli, quota.cpu_limit_milli, quota.cpu_weight),
        memory=ResourceQuota(quota.memory_deserved_bytes, quota.memory_limit_bytes, quota.memory_weight),
        priority=quota.priority,
    )


def pool_quotas(owner: Department | Project) -> tuple[PoolQuota, ...]:
    return tuple(pool_quota(quota) for quota in owner.quotas.select_related("node_pool"))


def publish_department(department: Department) -> None:
    """Put the document. Called at the end of the transaction that changed the row; equal bodies cost nothing."""
    spec = DepartmentSpec(id=str(department.pk), display_name=department.name, quotas=pool_quotas(department))
    _put("Department", department, spec)


def publish_project(project: Project) -> None:
    spec = ProjectSpec(
        id=str(project.pk),
        display_name=project.name,
        namespace=project.namespace,
        department=project.department.name,
        quotas=pool_quotas(project),
        default_node_pools=tuple(project.default_node_pools or project.department.default_node_pools),
        enforce_runai_scheduler=project.enforce_runai_scheduler,
        description=project.description or None,
        scheduling_rules=scheduling_rules(project),
        node_types=node_types(project),
    )
    _put("Project", project, spec)


def scheduling_rules(project: Project) -> SchedulingRules | None:
    """The limits that hold for its workloads: its own and its department's, whichever are earlier."""
    limits = rules.effective_rules(project.scheduling_rules, project.department.scheduling_rules)
    if not limits:
        return None
    return SchedulingRules(
        training_time_limit_seconds=limits.get("trainingJobTimeLimitSeconds"),
        training_idle_limit_seconds=limits.get("trainingJobMaxIdleDurationSeconds"),
        workspace_time_limit_seconds=limits.get("interactiveJobTimeLimitSeconds"),
        workspace_idle_limit_seconds=limits.get("interactiveJobMaxIdleDurationSeconds"),
        preemptible_workspace_idle_limit_seconds=limits.get("interactiveJobPreemptIdleDurationSeconds"),
    )


def node_types(project: Project) -> NodeTypes | None:
    """Where its workloads may run. A choice of which the department allows nothing any more is the department's."""
    parent = project.department.node_types
    found = {
        kind: types or parent.get(kind, []) for kind, types in rules.effective_types(project.node_types, parent).items()
    }
    if not found:
        return None
    return NodeTypes(training=tuple(found.get("training", ())), workspace=tuple(found.get("workspace", ())))


def publish_all(units: Iterable[Department | Project]) -> None:
    for unit in units:
        if isinstance(unit, Project):
            publish_project(unit)
        else:
            publish_department(unit)


def withdraw(unit: Department | Project) -> None:
    link.delete_desired(cluster_id=unit.cluster_id, key=document_key(unit))


def document_key(unit: Department | Project) -> str:
    return f"{'project' if isinstance(unit, Project) else 'department'}/{unit.name}"


def _put(kind: str, unit: Department | Project, spec: DepartmentSpec | ProjectSpec) -> None:
    body = {"apiVersion": GROUP_VERSION, "kind": kind, "metadata": {"name": unit.name}, "spec": codec.to_dict(spec)}
    link.put_desired(cluster_id=unit.cluster_id, key=document_key(unit), body=body)
