"""Tell the clusters who has which role: an access rule becomes RoleBindings in the namespaces of its projects.

A document that is put again unchanged costs nothing, so every step here may be repeated. A cluster whose mailbox is
closed is owed nothing: its scope stays until its rows are forgotten, and no right may wait for that.
"""

import uuid
from collections.abc import Iterable
from contextlib import suppress

from access.grants import ancestors
from access.models import AccessRule, Scope, ScopeKind, SubjectKind
from access.roles import CLUSTER_ROLES
from agent.wire import codec
from agent.wire.objects import GROUP_VERSION, AccessRuleSpec
from link import services as link
from runai_cp.lib.errors import NotFound

_KINDS = {SubjectKind.USER: "User", SubjectKind.APPLICATION: "ServiceAccount", SubjectKind.GROUP: "Group"}


def cluster_role_of(rule: AccessRule) -> str:
    """The ClusterRole of a rule; empty when it gives no rights in the cluster. Select ``custom_role`` with the rule."""
    if rule.custom_role is not None:
        return rule.custom_role.cluster_role if rule.custom_role.enabled else ""
    return CLUSTER_ROLES.get(rule.role, "")


def publish_cluster_rules(cluster_scope: Scope) -> None:
    """Write the documents of all rules that reach into a cluster: after a project of it was made or removed."""
    above = [cluster_scope.path, *ancestors(cluster_scope.path)]
    rules = AccessRule.objects.get_queryset().in_force()
    reaching = rules.filter(scope__path__in=above) | rules.filter(scope__path__startswith=cluster_scope.path)
    for rule in reaching.select_related("scope", "custom_role").order_by("pk"):
        _put(rule, cluster_scope, cluster_role_of(rule))


def publish_rule(rule: AccessRule, cluster_role: str | None = None) -> None:
    wanted = cluster_role_of(rule) if cluster_role is None else cluster_role
    for cluster in clusters_of(rule.scope):
        _put(rule, cluster, wanted)


def withdraw_rule(rule: AccessRule, scope: Scope | None = None) -> None:
    """Take the rule's documents back, from the clusters of its scope or of an earlier one."""
    for cluster in clusters_of(scope or rule.scope):
        _take_back(rule, cluster)


def phases(rules: Iterable[AccessRule]) -> dict[int, tuple[str, str]]:
    """(phase, message) by rule: Ready, Creating while a cluster has not applied it, NotReady where one refused it."""
    known = {_key(rule): rule.pk for rule in rules}
    refs = Scope.objects.filter(kind=ScopeKind.CLUSTER).exclude(ref="").values_list("ref", flat=True)
    clusters = [uuid.UUID(ref) for ref in refs]
    found: dict[int, tuple[str, str]] = {}
    for key, statuses in link.desired_over_clusters(cluster_ids=clusters, keys=known).items():
        errors = [status.error for status in statuses if status.error]
        if errors:
            found[known[key]] = ("NotReady", errors[0])
        elif not all(status.applied for status in statuses):
            found[known[key]] = ("Creating", "Not every cluster of the scope has taken it yet.")
    return found


def clusters_of(scope: Scope) -> list[Scope]:
    """The clusters that a scope lies in or holds."""
    clusters = Scope.objects.filter(kind=ScopeKind.CLUSTER).exclude(ref="")
    inside = clusters.filter(path__startswith=scope.path)
    return list((inside | clusters.filter(path__in=ancestors(scope.path))).order_by("ref"))


def _key(rule: AccessRule) -> str:
    return f"accessrule/{rule.pk}"


def _put(rule: AccessRule, cluster: Scope, cluster_role: str) -> None:
    if not cluster_role:
        _take_back(rule, cluster)
        return
    everything = cluster.path.startswith(rule.scope.path)
    inside = Scope.objects.filter(kind=ScopeKind.PROJECT, path__startswith=rule.scope.path)
    spec = AccessRuleSpec(
        id=str(rule.pk),
        subject_kind=_KINDS[SubjectKind(rule.subject_kind)],
        subject=rule.subject_name,
        role=cluster_role,
        projects=() if everything else tuple(inside.order_by("name").values_list("name", flat=True)),
        all_projects=everything,
    )
    document = {
        "apiVersion": GROUP_VERSION,
        "kind": "AccessRule",
        "metadata": {"name": f"rule-{rule.pk}"},
        "spec": codec.to_dict(spec),
    }
    with suppress(NotFound):  # its mailbox is closed
        link.put_desired(cluster_id=uuid.UUID(cluster.ref), key=_key(rule), body=document)


def _take_back(rule: AccessRule, cluster: Scope) -> None:
    with suppress(NotFound):  # its mailbox is closed
        link.delete_desired(cluster_id=uuid.UUID(cluster.ref), key=_key(rule))
