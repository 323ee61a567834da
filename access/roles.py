"""What can be done, in which bricks it is granted, and which predefined role has which bricks. Tables, no ORM."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


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
    ACCESS_RULE_UPDATE = "access-rule.update"
    ACCESS_RULE_DELETE = "access-rule.delete"
    ROLE_VIEW = "role.view"
    ROLE_CREATE = "role.create"
    ROLE_UPDATE = "role.update"
    ROLE_DELETE = "role.delete"
    GROUP_VIEW = "group.view"
    GROUP_CREATE = "group.create"
    GROUP_UPDATE = "group.update"
    GROUP_DELETE = "group.delete"
    ACCESS_KEY_VIEW = "access-key.view"
    ACCESS_KEY_DELETE = "access-key.delete"
    WEBHOOK_VIEW = "webhook.view"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_UPDATE = "webhook.update"
    WEBHOOK_DELETE = "webhook.delete"
    AUDIT_VIEW = "audit.view"
    SETTINGS_VIEW = "settings.view"
    SETTINGS_UPDATE = "settings.update"


ALL = frozenset(Action)


def of(*things: str, verbs: tuple[str, ...] = ()) -> frozenset[Action]:
    """All actions on some things, or those with some verbs only. A new action joins its thing's sets by itself."""
    found = (action for action in Action if action.value.split(".")[0] in things)
    return frozenset(action for action in found if not verbs or action.value.split(".")[1] in verbs)


def views(*things: str) -> frozenset[Action]:
    return of(*things, verbs=("view",))


PERMISSION_SETS: dict[str, tuple[str, frozenset[Action]]] = {
    "clusters-minimal": ("Clusters minimal", views("cluster")),
    "clusters": ("Clusters", of("cluster")),
    "nodes": ("Nodes", views("node")),
    "node-pools-minimal": ("Node pools minimal", views("node-pool")),
    "node-pools": ("Node pools", of("node-pool")),
    "departments-minimal": ("Departments minimal", views("department")),
    "department-settings": ("Own department", of("department", verbs=("view", "update"))),
    "departments": ("Departments", of("department")),
    "projects-minimal": ("Projects minimal", views("project")),
    "project-settings": ("Own project", of("project", verbs=("view", "update"))),
    "projects": ("Projects", of("project")),
    "workloads-view": ("Workloads, view", views("workload")),
    "workloads": ("Workloads", of("workload")),
    "dashboards": ("Dashboards", of("metrics")),
    "people-view": ("Users, groups and service accounts, view", views("user", "group", "application")),
    "users": ("Users", of("user")),
    "groups": ("Groups", of("group")),
    "service-accounts": ("Service accounts", of("application")),
    "access-keys": ("Everybody's access keys", of("access-key")),
    "access-rules-view": ("Access rules, view", views("access-rule", "role")),
    "access-rules": ("Access rules", of("access-rule") | views("role")),
    "roles": ("Roles", of("role")),
    "event-history": ("Event history", of("audit")),
    "settings": ("Settings", of("settings")),
    "webhooks": ("Webhooks", of("webhook")),
}
"""Id → title and actions: the bricks of which every role is made, predefined or custom."""

_LOOK_AROUND = ("clusters-minimal", "node-pools-minimal", "departments-minimal", "projects-minimal")
_EVERYTHING = tuple(PERMISSION_SETS)


@dataclass(frozen=True, slots=True)
class Predefined:
    """A role of the platform. ``cluster_role``: the ClusterRole ``runai-<name>`` in the namespaces of its scope."""

    id: int
    title: str
    description: str
    sets: tuple[str, ...]
    cluster_role: str


PREDEFINED: dict[str, Predefined] = {
    "administrator": Predefined(
        1, "System administrator", "May do everything in the scope.", _EVERYTHING, "administrator"
    ),
    "department-administrator": Predefined(
        2,
        "Department administrator",
        "Runs a department: its projects, their workloads, and who may do what in it.",
        (
            *_LOOK_AROUND,
            "nodes",
            "department-settings",
            "projects",
            "workloads",
            "dashboards",
            "people-view",
            "access-rules",
            "event-history",
        ),
        "administrator",
    ),
    "researcher": Predefined(
        3,
        "AI practitioner",
        "Submits and manages workloads in the scope.",
        (*_LOOK_AROUND, "workloads", "dashboards"),
        "researcher",
    ),
    "viewer": Predefined(
        4, "Viewer", "Sees everything of the scope.", (*_LOOK_AROUND, "nodes", "workloads-view", "dashboards"), "viewer"
    ),
    "project-administrator": Predefined(
        5,
        "Project administrator",
        "Runs a project: its settings, its workloads, and who may do what in it.",
        (*_LOOK_AROUND, "project-settings", "workloads", "dashboards", "people-view", "access-rules"),
        "administrator",
    ),
    "data-administrator": Predefined(
        6,
        "Data and storage administrator",
        "Keeps what workloads read and write.",
        (*_LOOK_AROUND, "workloads-view"),
        "viewer",
    ),
    "department-viewer": Predefined(
        7,
        "Department viewer",
        "Sees a department and everything below it.",
        (*_LOOK_AROUND, "nodes", "workloads-view", "dashboards"),
        "viewer",
    ),
    "editor": Predefined(
        8,
        "Editor",
        "Manages departments and projects, and sees everything.",
        (*_LOOK_AROUND, "nodes", "departments", "projects", "workloads-view", "dashboards"),
        "viewer",
    ),
    "research-manager": Predefined(
        9,
        "Research manager",
        "Manages projects, and sees their workloads.",
        (*_LOOK_AROUND, "projects", "workloads-view", "dashboards"),
        "viewer",
    ),
    "l1-researcher": Predefined(
        10,
        "L1 researcher",
        "Submits and manages workloads and what they use.",
        (*_LOOK_AROUND, "workloads", "dashboards"),
        "researcher",
    ),
    "l2-researcher": Predefined(
        11, "L2 researcher", "Submits and manages workloads.", (*_LOOK_AROUND, "workloads"), "researcher"
    ),
    "ml-engineer": Predefined(
        12,
        "ML engineer",
        "Runs what serves models.",
        (*_LOOK_AROUND, "nodes", "workloads", "dashboards"),
        "researcher",
    ),
}
"""Key → role, in order of its number in the public API, where a role's id is an int32."""


@lru_cache(maxsize=512)
def actions_of(sets: tuple[str, ...]) -> frozenset[Action]:
    """What permission sets allow together; names that are no longer known allow nothing."""
    return frozenset().union(*(PERMISSION_SETS[name][1] for name in sets if name in PERMISSION_SETS))


ROLES: dict[str, frozenset[Action]] = {
    key: ALL if key == "administrator" else actions_of(role.sets) for key, role in PREDEFINED.items()
}
"""Key → what the role may do inside the scope of an access rule."""
ROLE_IDS: dict[str, int] = {key: role.id for key, role in PREDEFINED.items()}
ROLE_TITLES: dict[str, str] = {key: role.title for key, role in PREDEFINED.items()}
CLUSTER_ROLES: dict[str, str] = {key: role.cluster_role for key, role in PREDEFINED.items()}
CLUSTER_ROLE_NAMES = ("administrator", "researcher", "viewer")


def role_named(value: str | int) -> str | None:
    """The key of a predefined role by key, title (in any case) or API number; None when there is none."""
    text = str(value).lower()
    if text.isascii() and text.isdigit():
        return next((key for key, number in ROLE_IDS.items() if str(number) == text), None)
    return next((key for key, title in ROLE_TITLES.items() if text in (key, title.lower())), None)
