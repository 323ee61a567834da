"""Give, change and take roles. Nobody grants more than they hold; the last administrator stays."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.grants import Actor
from access.models import AccessRule, Scope, ScopeKind, SubjectKind, User
from access.permissions import require
from access.roles import PREDEFINED, Action
from access.services.audit import record
from access.services.projection import publish_cluster_rules, publish_rule, withdraw_rule
from access.services.roles import RoleInfo, find_role, role_of
from access.services.scopes import root_scope
from access.services.subjects import find_subject
from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotAllowed
from runai_cp.lib.models import held

__all__ = ["create_rule", "delete_rule", "drop_rules_of", "drop_rules_on", "publish_cluster_rules", "update_rule"]
LONGEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What an update may touch; None leaves it. ``forever`` takes an expiry away."""

    role: str | int | None = None
    scope: Scope | None = None
    expires_at: datetime | None = None
    forever: bool = False


@transaction.atomic
def create_rule(
    *,
    actor: Actor,
    subject_kind: str,
    subject_id: object,
    role: str | int,
    scope: Scope,
    expires_at: datetime | None = None,
) -> AccessRule:
    """Raises ``Invalid`` for an unknown role or subject, ``NotAllowed`` for more than the actor holds, ``Conflict``."""
    require(actor, Action.ACCESS_RULE_CREATE, scope)
    wanted = _grantable(actor, role, scope)
    check_expiry(expires_at)
    subject = find_subject(subject_kind, str(subject_id), made_by=actor.name)
    values = {"subject_kind": subject_kind, "subject_id": subject.id, "role": wanted.key, "scope": scope}
    rule = AccessRule.objects.filter(**values).first() if actor.kind == "system" else None
    if rule is not None:
        return rule
    try:
        with transaction.atomic():
            rule = AccessRule.objects.create(
                subject_name=subject.name,
                created_by=actor.name,
                custom_role_id=wanted.custom_id,
                expires_at=expires_at,
                **values,
            )
    except IntegrityError as error:
        raise Conflict(f"{subject.name} has the role {wanted.title} in {scope.name} already.") from error
    _remember(actor, "create", rule, after=snapshot(rule))
    publish_rule(rule)
    return rule


@transaction.atomic
def update_rule(*, actor: Actor, rule: AccessRule, change: RuleChange) -> AccessRule:
    """Another role, scope or expiry for the same subject. The rule keeps its id, in the clusters too.

    Raises as ``create_rule`` and ``delete_rule`` do.
    """
    row = _held(rule)
    scope = change.scope or row.scope
    require(actor, Action.ACCESS_RULE_UPDATE, row.scope)
    require(actor, Action.ACCESS_RULE_UPDATE, scope)
    wanted = _grantable(actor, role_of(row).key if change.role is None else change.role, scope)
    expires_at = None if change.forever else change.expires_at or row.expires_at
    if expires_at != row.expires_at:
        check_expiry(expires_at)
    if (wanted.key, scope.pk, expires_at) != ("administrator", row.scope_id, None):
        _keep_an_administrator(row)
    before, old_scope = snapshot(row), row.scope
    row.role, row.custom_role_id, row.scope, row.expires_at = wanted.key, wanted.custom_id, scope, expires_at
    row.updated_by = actor.name
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict(f"{row.subject_name} has the role {wanted.title} in {scope.name} already.") from error
    row = AccessRule.objects.select_related("scope", "custom_role").get(pk=row.pk)
    _remember(actor, "update", row, before=before, after=snapshot(row))
    if old_scope.pk != scope.pk:
        withdraw_rule(row, old_scope)
    publish_rule(row)
    return row


@transaction.atomic
def delete_rule(*, actor: Actor, rule: AccessRule) -> None:
    """Raises ``Conflict`` for the last administrator of the tenant, ``NotFound`` where the rule is gone already."""
    row = _held(rule)
    require(actor, Action.ACCESS_RULE_DELETE, row.scope)
    _keep_an_administrator(row)
    _remember(actor, "delete", row, before=snapshot(row))
    _drop(row)


def may_delete(*, actor: Actor, rule: AccessRule) -> None:
    """Raises what ``delete_rule`` would; changes nothing."""
    require(actor, Action.ACCESS_RULE_DELETE, rule.scope)
    _keep_an_administrator(rule)


@transaction.atomic
def expire_rules(*, actor: Actor, now: datetime, limit: int = 200) -> int:
    """Remove rules whose time is over, here and in the clusters. They grant nothing from that time on in any case."""
    due = AccessRule.objects.filter(expires_at__lte=now).select_related("scope", "custom_role")
    rows = list(due.select_for_update(of=("self",), skip_locked=True).order_by("pk")[:limit])
    for rule in rows:
        _remember(actor, "expire", rule, before=snapshot(rule))
        _drop(rule)
    return len(rows)


def drop_rules_of(subject_kind: str, subject_id: object) -> None:
    """Remove every rule of a subject that is being removed, in the caller's transaction."""
    for rule in AccessRule.objects.filter(subject_kind=subject_kind, subject_id=subject_id).select_related("scope"):
        _drop(rule)


def drop_rules_on(scope: Scope) -> None:
    """Remove every rule on a scope that is being removed, with its documents, in the caller's transaction."""
    for rule in AccessRule.objects.filter(scope=scope).select_related("scope"):
        _drop(rule)


def keep_an_administrator(*, without_user: object) -> None:
    """Raises ``Conflict`` when nobody but this user may administer the tenant for ever."""
    people = {row.subject_id for row in _administrators()}
    if people == {without_user}:
        raise Conflict("The last administrator of the tenant cannot be removed.")


def check_expiry(expires_at: datetime | None) -> None:
    """Raises ``Invalid`` for a time that is over or more than ten years off."""
    now = timezone.now()
    if expires_at is not None and not now < expires_at < now + LONGEST:
        raise Invalid(FieldError("expiresAt", "must lie in the future, at most ten years off", expires_at.isoformat()))


def snapshot(rule: AccessRule) -> dict[str, object]:
    return {
        "subject": rule.subject_name,
        "role": rule.role,
        "scope": rule.scope.name,
        "expiresAt": rule.expires_at.isoformat() if rule.expires_at else None,
    }


def _grantable(actor: Actor, role: str | int, scope: Scope) -> RoleInfo:
    wanted = find_role(role, keep=True)
    if wanted is None:
        allowed = sorted(PREDEFINED)
        raise Invalid(FieldError("role", f"unknown role; allowed are {allowed} and your own", role, allowed))
    if not wanted.enabled:
        raise Invalid(FieldError("role", "this role is disabled", role))
    if not all(actor.allows(action, scope.path) for action in wanted.actions):
        raise NotAllowed(
            f"{actor.name} cannot grant {wanted.title}: it holds more than {actor.name} may do in {scope.name}."
        )
    return replace(wanted)


def _administrators():  # type: ignore[no-untyped-def]
    """Rules that make an active user administrator of the tenant without an end; locked, so that two cannot race, and
    in one order, so that two never wait for each other."""
    people = User.objects.filter(is_active=True).values("pk")
    return (
        AccessRule.objects.filter(
            role="administrator",
            scope=root_scope(),
            subject_kind=SubjectKind.USER,
            expires_at=None,
            subject_id__in=people,
        )
        .select_for_update()
        .order_by("pk")
    )


def _held(rule: AccessRule) -> AccessRule:
    """The rule as it is now; all administrators' before it where it is one of theirs. Raises ``NotFound``."""
    if _administers(rule):
        list(_administrators())
    return held(rule, "rule")


def _administers(rule: AccessRule) -> bool:
    everywhere = rule.role == "administrator" and rule.scope.kind == ScopeKind.TENANT
    return everywhere and rule.subject_kind == SubjectKind.USER and rule.expires_at is None


def _keep_an_administrator(rule: AccessRule) -> None:
    if _administers(rule) and [row.pk for row in _administrators()] == [rule.pk]:
        raise Conflict("The last administrator of the tenant cannot be removed.")


def _drop(rule: AccessRule) -> None:
    withdraw_rule(rule)
    rule.deleted_at = timezone.now()
    rule.save(update_fields=["deleted_at", "updated_at"])


def _remember(actor: Actor, verb: str, rule: AccessRule, *, before: object = None, after: object = None) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="access-rule",
        entity_id=rule.pk,
        entity_name=str(rule),
        scope_path=rule.scope.path,
        before=before,
        after=after,
    )
