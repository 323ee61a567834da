"""Give and take roles, and tell the clusters, where a rule becomes RoleBindings in the namespaces of its projects."""

import uuid
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from access.grants import Actor, ancestors
from access.models import AccessRule, Application, Scope, ScopeKind, SubjectKind, User
from access.permissions import require
from access.roles import CLUSTER_ROLES, ROLES, Action
from access.services.audit import record
from agent.wire import codec
from agent.wire.objects import GROUP_VERSION, AccessRuleSpec
from link import services as link
from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotAllowed


@dataclass(frozen=True, slots=True)
class _Subject:
    id: uuid.UUID
    name: str


@transaction.atomic
def create_rule(*, actor: Actor, subject_kind: str, subject_id: object, role: str, scope: Scope) -> AccessRule:
    """Raises ``Invalid`` for an unknown role or subject, ``NotAllowed`` for more than the actor holds, ``Conflict``."""
    require(actor, Action.ACCESS_RULE_CREATE, scope)
    if role not in ROLES:
        raise Invalid(FieldError("role", f"unknown role; allowed are {sorted(ROLES)}", role, sorted(ROLES)))
    if not all(actor.allows(action, scope.path) for action in ROLES[role]):
        raise NotAllowed(f"{actor.name} cannot grant {role}: it holds more than {actor.name} may do in {scope.name}.")
    subject = _subject(subject_kind, str(subject_id))
    values = {"subject_kind": subject_kind, "subject_id": subject.id, "role": role, "scope": scope}
    rule = AccessRule.objects.filter(**values).first() if actor.kind == "system" else None
    if rule is not None:
        return rule
    try:
        with transaction.atomic():
            rule = AccessRule.objects.create(subject_name=subject.name, created_by=actor.name, **values)
    except IntegrityError as error:
        raise Conflict(f"{subject.name} has the role {role} in {scope.name} already.") from error
    record(
        actor=actor,
        action="create",
        entity_type="access-rule",
        entity_id=rule.pk,
        entity_name=str(rule),
        scope_path=scope.path,
        after={"subject": subject.name, "role": role, "scope": scope.name},
    )
    publish_rule(rule)
    return rule


@transaction.atomic
def delete_rule(*, actor: Actor, rule: AccessRule) -> None:
    """Raises ``Conflict`` for the last administrator of the tenant."""
    require(actor, Action.ACCESS_RULE_DELETE, rule.scope)
    if rule.role == "administrator" and rule.scope.kind == ScopeKind.TENANT:
        others = AccessRule.objects.filter(role="administrator", scope=rule.scope, subject_kind=SubjectKind.USER)
        if not others.exclude(pk=rule.pk).exists():
            raise Conflict("The last administrator of the tenant cannot be removed.")
    record(
        actor=actor,
        action="delete",
        entity_type="access-rule",
        entity_id=rule.pk,
        entity_name=str(rule),
        scope_path=rule.scope.path,
        before={"subject": rule.subject_name, "role": rule.role, "scope": rule.scope.name},
    )
    _drop(rule)


def drop_rules_of(subject_kind: str, subject_id: object) -> None:
    """Remove every rule of a subject that is being removed, in the caller's transaction."""
    for rule in AccessRule.objects.filter(subject_kind=subject_kind, subject_id=subject_id).select_related("scope"):
        _drop(rule)


def drop_rules_on(scope: Scope) -> None:
    """Remove every rule on a scope that is being removed, with its documents, in the caller's transaction."""
    for rule in AccessRule.objects.filter(scope=scope).select_related("scope"):
        _drop(rule)


def _drop(rule: AccessRule) -> None:
    for cluster in _clusters_of(rule.scope):
        link.delete_desired(cluster_id=uuid.UUID(cluster.ref), key=f"accessrule/{rule.pk}")
    rule.delete()


def publish_cluster_rules(cluster_scope: Scope) -> None:
    """Write the documents of all rules that reach into a cluster: after a project of it was made or removed."""
    above = [cluster_scope.path, *ancestors(cluster_scope.path)]
    reaching = AccessRule.objects.filter(scope__path__in=above) | AccessRule.objects.filter(
        scope__path__startswith=cluster_scope.path
    )
    for rule in reaching.select_related("scope").order_by("pk"):
        _put(rule, cluster_scope)


def publish_rule(rule: AccessRule) -> None:
    for cluster in _clusters_of(rule.scope):
        _put(rule, cluster)


def _put(rule: AccessRule, cluster: Scope) -> None:
    everything = cluster.path.startswith(rule.scope.path)
    inside = Scope.objects.filter(kind=ScopeKind.PROJECT, path__startswith=rule.scope.path)
    spec = AccessRuleSpec(
        id=str(rule.pk),
        subject_kind="User" if rule.subject_kind == SubjectKind.USER else "ServiceAccount",
        subject=rule.subject_name,
        role=CLUSTER_ROLES[rule.role],
        projects=() if everything else tuple(inside.order_by("name").values_list("name", flat=True)),
        all_projects=everything,
    )
    document = {
        "apiVersion": GROUP_VERSION,
        "kind": "AccessRule",
        "metadata": {"name": f"rule-{rule.pk}"},
        "spec": codec.to_dict(spec),
    }
    link.put_desired(cluster_id=uuid.UUID(cluster.ref), key=f"accessrule/{rule.pk}", body=document)


def _clusters_of(scope: Scope) -> list[Scope]:
    """The clusters that a scope lies in or holds."""
    clusters = Scope.objects.filter(kind=ScopeKind.CLUSTER).exclude(ref="")
    inside = clusters.filter(path__startswith=scope.path)
    return list((inside | clusters.filter(path__in=ancestors(scope.path))).order_by("pk"))


def _subject(kind: str, identifier: str) -> _Subject:
    """A user by id or address, an application by id or client id (the public API does not say which: accept both)."""
    found: User | Application | None = None
    by_id = {"pk": identifier} if _is_uuid(identifier) else None
    if kind == SubjectKind.USER:
        found = User.objects.filter(**(by_id or {"email__iexact": identifier})).first()
    elif kind == SubjectKind.APPLICATION:
        found = Application.objects.filter(**(by_id or {"client_id": identifier})).first()
    if found is None:
        raise Invalid(FieldError("subjectId", f"no {kind} has this id", identifier))
    return _Subject(found.pk, str(found))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
