"""What can be done, and which role may do it: one table, no ORM."""

from enum import StrEnum


class Action(StrEnum):
    """``thing.verb``: the thing's own name, and one of view, create, update, delete."""

    CLUSTER_VIEW = "cluster.view"
    CLUSTER_CREATE = "cluster.create"
    CLUSTER_UPDATE = "cluster.update"
    CLUSTER_DELETE = "cluster.delete"
    NODE_VIEW = "node.view"
    NODE_POOL_VIEW = "node-pool.view"
    NODE_POOL_UPDATE = "node-pool.update"
    DEPARTMENT_VIEW = "department.view"
    DEPARTMENT_CREATE = "department.create"
    DEPARTMENT_UPDATE = "department.update"
    DEPARTMENT_DELETE = "department.delete"
    PROJECT_VIEW = "project.view"
    PROJECT_CREATE = "project.create"
    PROJECT_UPDATE = "project.update"
    PROJECT_DELETE = "project.delete"
    WORKLOAD_VIEW = "workload.view"
    WORKLOAD_CREATE = "workload.create"
    WORKLOAD_UPDATE = "workload.update"
    WORKLOAD_DELETE = "workload.delete"
    METRICS_VIEW = "metrics.view"
    USER_VIEW = "user.view"
    USER_CREATE = "user.create"
    USER_UPDATE = "user.update"
    USER_DELETE = "user.delete"
    APPLICATION_VIEW = "application.view"
    APPLICATION_CREATE = "application.create"
    APPLICATION_UPDATE = "application.update"
    APPLICATION_DELETE = "application.delete"
    ACCESS_RULE_VIEW = "access-rule.view"
    ACCESS_RULE_CREATE = "access-rule.create"
    ACCESS_RULE_DELETE = "access-rule.delete"
    AUDIT_VIEW = "audit.view"
    SETTINGS_VIEW = "settings.view"
    SETTINGS_UPDATE = "settings.update"


ALL = frozenset(Action)
_VIEWS = frozenset(action for action in Action if action.value.endswith(".view"))
_WORKLOADS = frozenset(action for action in Action if action.value.startswith("workload."))
_SUPPLY_VIEWS = frozenset({Action.CLUSTER_VIEW, Action.NODE_POOL_VIEW, Action.DEPARTMENT_VIEW, Action.PROJECT_VIEW})
_PROJECTS = frozenset(action for action in Action if action.value.startswith("project."))
_RULES = frozenset(action for action in Action if action.value.startswith("access-rule."))

ROLES: dict[str, frozenset[Action]] = {
    "administrator": ALL,
    "department-administrator": _VIEWS - {Action.SETTINGS_VIEW}
    | _WORKLOADS
    | _PROJECTS
    | _RULES
    | {Action.DEPARTMENT_UPDATE},
    "researcher": _SUPPLY_VIEWS | _WORKLOADS | {Action.METRICS_VIEW},
    "viewer": _SUPPLY_VIEWS | {Action.WORKLOAD_VIEW, Action.METRICS_VIEW, Action.NODE_VIEW},
}
"""Role → what it may do inside the scope of an access rule (runai-features.md section 2.5, narrowed to what exists)."""

ROLE_IDS: dict[str, int] = {"administrator": 1, "department-administrator": 2, "researcher": 3, "viewer": 4}
"""Numbers of the roles in the public API, where a role's id is an int32."""

ROLE_TITLES: dict[str, str] = {
    "administrator": "System administrator",
    "department-administrator": "Department administrator",
    "researcher": "AI practitioner",
    "viewer": "Viewer",
}

CLUSTER_ROLES: dict[str, str] = {
    "administrator": "administrator",
    "department-administrator": "administrator",
    "researcher": "researcher",
    "viewer": "viewer",
}
"""Role → the ClusterRole ``runai-<name>`` that its subjects get in the namespaces of the scope."""


def role_named(value: str | int) -> str | None:
    """The role of a name or of an API number; None when there is none."""
    if isinstance(value, int) or value.isdigit():
        return next((name for name, number in ROLE_IDS.items() if number == int(value)), None)
    return value if value in ROLES else None
