"""What should exist for departments, projects, access rules and node pools: queues, namespaces, bindings, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.operator.names import bounded
from agent.operator.workload import ProjectView
from agent.wire import labels
from agent.wire.codec import from_dict
from agent.wire.config import Defaults
from agent.wire.objects import (
    UNLIMITED,
    AccessRuleSpec,
    DepartmentSpec,
    NodePoolSpec,
    PoolQuota,
    ProjectSpec,
    ResourceQuota,
)

Object = dict[str, Any]
FINALIZER = "run.ai/project"
"""On projects: the namespace goes first, and only when the project itself is deleted, never with its CRD."""
ROLES = ("administrator", "researcher", "viewer")
NODE_POOL_BY = "run.ai/node-pool-set-by"
"""Annotation on nodes whose pool label the operator wrote."""
LIMIT_RANGE = "runai-defaults"
PULL_SECRETS = "run.ai/image-pull-secrets"
"""Annotation on ServiceAccounts: the pull secrets that we put there."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class DepartmentView:
    name: str
    uid: str
    spec: DepartmentSpec


@dataclass(frozen=True, slots=True)
class RuleView:
    name: str
    uid: str
    spec: AccessRuleSpec


def read_department(obj: Mapping[str, Any]) -> DepartmentView:
    """Raises ``ValueError`` naming the field for a spec that cannot be read; so do the readers below."""
    meta = obj["metadata"]
    return DepartmentView(meta["name"], meta["uid"], from_dict(DepartmentSpec, obj.get("spec")))


def read_project(obj: Mapping[str, Any]) -> ProjectView:
    return ProjectView(obj["metadata"]["name"], from_dict(ProjectSpec, obj.get("spec")))


def read_rule(obj: Mapping[str, Any]) -> RuleView:
    meta = obj["metadata"]
    return RuleView(meta["name"], meta["uid"], from_dict(AccessRuleSpec, obj.get("spec")))


def read_node_pool(obj: Mapping[str, Any]) -> tuple[str, NodePoolSpec]:
    return str(obj["metadata"]["name"]), from_dict(NodePoolSpec, obj.get("spec"))


def department_queues(department: DepartmentView, pools_of_projects: Iterable[str]) -> list[Object]:
    """One parent queue per pool of the department or of one of its projects.

    A pool in which the department itself has no quota gives its projects no entitlement of their own there, but
    does not stop them: deserved 0, no limit.
    """
    quotas = {quota.node_pool: quota for quota in department.spec.quotas}
    for pool in pools_of_projects:
        quotas.setdefault(pool, PoolQuota(pool))
    quotas = quotas or {labels.DEFAULT_NODE_POOL: PoolQuota(labels.DEFAULT_NODE_POOL)}
    owner = owner_reference("Department", department.name, department.uid)
    marks = {"run.ai/department": bounded(department.name)}
    return [
        _queue(labels.department_queue_name(department.name, pool), department.spec.display_name, quota, owner, marks)
        for pool, quota in sorted(quotas.items())
    ]


def project_queues(project: ProjectView, uid: str) -> list[Object]:
    """One queue per pool of the project, below its department's queue of that pool."""
    quotas = project.spec.quotas or (PoolQuota(labels.DEFAULT_NODE_POOL),)
    owner = owner_reference("Project", project.name, uid)
    marks = {labels.PROJECT: bounded(project.name)}
    queues = []
    for quota in sorted(quotas, key=lambda quota: quota.node_pool):
        name = labels.queue_name(project.name, quota.node_pool)
        queue = _queue(name, project.spec.display_name, quota, owner, marks)
        if project.spec.department:
            queue["spec"]["parentQueue"] = labels.department_queue_name(project.spec.department, quota.node_pool)
        queues.append(queue)
    return queues


def _queue(name: str, title: str, quota: PoolQuota, owner: Object, marks: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "scheduling.run.ai/v2",
        "kind": "Queue",
        "metadata": {
            "name": name,
            "labels": {
                labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR,
                labels.NODE_POOL: quota.node_pool,
                **marks,
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "displayName": title,
            "priority": quota.priority,
            "resources": {
                "gpu": _resource(quota.gpu, 1000),
                "cpu": _resource(quota.cpu, 1),
                "memory": _resource(quota.memory, _MB),
            },
        },
    }


def _resource(quota: ResourceQuota, per_unit: int) -> Object:
    """In the queue's unit: GPUs, milli-cores, MB; -1 is unlimited in both worlds."""
    return {
        "quota": _amount(quota.deserved, per_unit),
        "limit": _amount(quota.limit, per_unit),
        "overQuotaWeight": _amount(quota.over_quota_weight, 1000),
    }


def _amount(value: int, per_unit: int) -> float:
    if value == UNLIMITED:
        return -1
    exact = value / per_unit
    return int(exact) if exact == int(exact) else exact


def namespace(project: ProjectView, adopted: bool) -> Object:
    """The project's namespace. One that was there before is adopted by labels and never carries our mark."""
    marks = {labels.PROJECT: project.name, labels.QUEUE_OF_NAMESPACE: project.name}
    if not adopted:
        marks[labels.MANAGED_BY] = labels.MANAGED_BY_OPERATOR
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.spec.namespace, "labels": marks}}


def role_bindings(project: ProjectView, rules: Sequence[RuleView]) -> list[Object]:
    """One RoleBinding per access rule whose scope holds the project. Rules for unknown roles bind nothing."""
    found = []
    for rule in sorted(rules, key=lambda rule: rule.name):
        if rule.spec.role in ROLES and (rule.spec.all_projects or project.name in rule.spec.projects):
            found.append(_role_binding(project, rule))
    return found


def _role_binding(project: ProjectView, rule: RuleView) -> Object:
    # An application of the control plane is no ServiceAccount of the cluster: it is known here by name, as a user is.
    kind = "Group" if rule.spec.subject_kind == "Group" else "User"
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {
            "name": bounded(f"runai-{rule.name}"),
            "namespace": project.spec.namespace,
            "labels": {
                labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR,
                labels.PROJECT: project.name,
                "run.ai/access-rule": bounded(rule.name),
            },
            "ownerReferences": [owner_reference("AccessRule", rule.name, rule.uid)],
        },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": f"runai-{rule.spec.role}",
        },
        "subjects": [{"kind": kind, "name": rule.spec.subject, "apiGroup": "rbac.authorization.k8s.io"}],
    }


def owner_reference(kind: str, name: str, uid: str) -> Object:
    return {"apiVersion": "run.ai/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def limit_range(project: ProjectView, defaults: Defaults) -> Object | None:
    """What containers of the namespace get that name no requests or limits; None where the cluster has no defaults."""
    parts = {"defaultRequest": defaults.request, "default": defaults.limit, "max": defaults.maximum}
    limits = {key: dict(amounts) for key, amounts in parts.items() if amounts}
    if not limits:
        return None
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {
            "name": LIMIT_RANGE,
            "namespace": project.spec.namespace,
            "labels": {labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR, labels.PROJECT: project.name},
        },
        "spec": {"limits": [{"type": "Container", **limits}]},
    }


def pull_secrets(account: Mapping[str, Any], wanted: Sequence[str]) -> Object | None:
    """The merge patch that gives a ServiceAccount the project's pull secrets and takes back those that we gave before;
    None: nothing to do. What others put there stays. The version we read makes it safe against another writer."""
    meta = account["metadata"]
    notes = meta.get("annotations") or {}
    given = [name for name in str(notes.get(PULL_SECRETS) or "").split(",") if name]
    have = [str(item.get("name")) for item in account.get("imagePullSecrets") or ()]
    others = [name for name in have if name not in given]
    ours = [name for name in wanted if name not in others]
    if given == ours and have == [*others, *ours]:
        return None
    mark = ",".join(ours) or None
    return {
        "metadata": {"annotations": {PULL_SECRETS: mark}, "resourceVersion": meta.get("resourceVersion")},
        "imagePullSecrets": [{"name": name} for name in (*others, *ours)],
    }


def node_pool_label(
    node: Mapping[str, Any], pools: Sequence[tuple[str, NodePoolSpec]], label: str = labels.NODE_POOL
) -> Object | None:
    """The merge patch that gives a node the label of its pool, or takes back one that we wrote; None: leave it.

    The first pool in order of name whose label the node has; a label somebody else wrote is theirs.
    """
    meta = node["metadata"]
    have, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    ours = annotations.get(NODE_POOL_BY) == labels.MANAGED_BY_OPERATOR
    current = have.get(label)
    if current is not None and not ours:
        return None
    wanted = next(
        (
            name
            for name, spec in sorted(pools, key=lambda pool: pool[0])
            if spec.label_key != label and have.get(spec.label_key) == spec.label_value
        ),
        None,
    )
    if wanted == current:
        return None
    mark = labels.MANAGED_BY_OPERATOR if wanted is not None else None
    return {"metadata": {"labels": {label: wanted}, "annotations": {NODE_POOL_BY: mark}}}
