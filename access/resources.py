"""Our actions in the words of the public API: resource types, their groups, and create, read, update, delete. Pure."""

from collections.abc import Collection

from access.roles import Action

VERBS = {"create": "create", "read": "view", "update": "update", "delete": "delete"}
"""Action of the API → verb of ours."""

RESOURCES: dict[str, tuple[str, str, str]] = {
    "department": ("Departments", "organization", "department"),
    "project": ("Projects", "organization", "project"),
    "tenant": ("Account", "organization", "settings"),
    "cluster": ("Clusters", "physical-resource", "cluster"),
    "nodepools": ("Node pools", "physical-resource", "node-pool"),
    "nodes": ("Nodes", "physical-resource", "node"),
    "settings": ("General settings", "iam", "settings"),
    "security-settings": ("Security settings", "iam", "settings"),
    "branding-settings": ("Branding", "iam", "settings"),
    "users": ("Users", "iam", "user"),
    "apps": ("Applications", "iam", "application"),
    "service-account": ("Service accounts", "iam", "application"),
    "access-keys": ("Access keys", "iam", "access-key"),
    "roles": ("Roles", "iam", "role"),
    "access_rules": ("Access rules", "iam", "access-rule"),
    "events-history": ("Event history", "iam", "audit"),
    "dashboards-overview": ("Overview dashboard", "dashboard", "metrics"),
    "dashboards-analytics": ("Analytics dashboard", "dashboard", "metrics"),
    "dashboards-consumption": ("Consumption dashboard", "dashboard", "metrics"),
    "jobs": ("Jobs", "workload", "workload"),
    "workloads": ("Workloads", "workload", "workload"),
    "workspaces": ("Workspaces", "workload", "workload"),
    "trainings": ("Trainings", "workload", "workload"),
    "inferences": ("Inferences", "workload", "workload"),
}
"""Resource type → title, group, and the thing of ours that it stands for."""

_BY_VALUE = {action.value: action for action in Action}


def action_for(resource: str, verb: str) -> Action | None:
    """``("jobs", "read")`` → ``workload.view``; None where we have no such action."""
    known = RESOURCES.get(resource)
    return _BY_VALUE.get(f"{known[2]}.{VERBS[verb]}") if known and verb in VERBS else None


def permissions(held: Collection[Action]) -> list[dict[str, object]]:
    """``held`` as the API's list of permissions; resource types of which nothing is held are left out."""
    found = []
    for resource, (title, group, _) in RESOURCES.items():
        verbs = [verb for verb in VERBS if action_for(resource, verb) in held]
        if verbs:
            found.append({"resourceType": resource, "displayName": title, "groupId": group, "actions": verbs})
    return found
