"""Predefined and custom roles as one thing, and the life of the custom ones."""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, transaction

from access.grants import Actor
from access.models import AccessRule, Role
from access.models.role import FIRST_ID
from access.permissions import require
from access.roles import (
    CLUSTER_ROLE_NAMES,
    CLUSTER_ROLES,
    PERMISSION_SETS,
    PREDEFINED,
    ROLE_TITLES,
    ROLES,
    Action,
    actions_of,
    role_named,
)
from access.services.audit import record
from access.services.projection import publish_rule
from access.services.scopes import root_scope
from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotFound
from runai_cp.lib.models import held
from runai_cp.lib.names import display_name


@dataclass(frozen=True, slots=True)
class RoleInfo:
    """What a rule needs to know of its role. ``key`` is what ``AccessRule.role`` holds; ``custom_id`` None for ours."""

    key: str
    id: int
    title: str
    actions: frozenset[Action]
    cluster_role: str
    custom_id: int | None = None
    enabled: bool = True


def find_role(value: object, *, keep: bool = False) -> RoleInfo | None:
    """A role by key, title or number; None when there is none.

    With ``keep``, in a transaction, a role of the tenant's own stays as it is until that ends: nobody removes it while
    it is given to somebody.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    key = role_named(value)
    if key is not None:
        return RoleInfo(key, PREDEFINED[key].id, ROLE_TITLES[key], ROLES[key], CLUSTER_ROLES[key])
    text = str(value).removeprefix("custom-")
    rows = Role.objects.select_for_update(no_key=True) if keep else Role.objects.all()
    if text.isascii() and text.isdigit() and len(text) < 10:
        row = rows.filter(pk=int(text)).first()
    else:
        row = rows.filter(name__same=str(value)[:100]).first()
    return info(row) if row else None


def info(row: Role) -> RoleInfo:
    actions = actions_of(tuple(row.permission_sets))
    return RoleInfo(f"custom-{row.pk}", row.pk, row.name, actions, row.cluster_role, row.pk, row.enabled)


def role_of(rule: AccessRule) -> RoleInfo:
    """The role of a rule. Select ``custom_role`` with it."""
    if rule.custom_role is not None:
        return info(rule.custom_role)
    key = rule.role
    if key not in PREDEFINED:
        return RoleInfo(key, 0, key, frozenset(), "")
    return RoleInfo(key, PREDEFINED[key].id, ROLE_TITLES[key], ROLES[key], CLUSTER_ROLES[key])


def role_row(role_id: int) -> Role:
    row = Role.objects.filter(pk=role_id).first()
    if row is None:
        raise NotFound("No role has this id." if role_id >= FIRST_ID else "A predefined role cannot be changed.")
    return row


@transaction.atomic
def create_role(*, actor: Actor, values: dict[str, Any]) -> Role:
    """Raises ``Invalid``, ``Conflict``, and ``NotAllowed`` for a role that holds more than the actor."""
    require(actor, Action.ROLE_CREATE, root_scope())
    row = Role(created_by=actor.name)
    _fill(row, actor, values, creating=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('access_role', 'id'), greatest(%s, nextval("
            "pg_get_serial_sequence('access_role', 'id'))), false)",
            [FIRST_ID],
        )
    _save(row)
    record(
        actor=actor, action="create", entity_type="role", entity_id=row.pk, entity_name=row.name, after=snapshot(row)
    )
    return row


@transaction.atomic
def update_role(*, actor: Actor, role: Role, values: dict[str, Any]) -> Role:
    """Only what is given changes. Everybody who holds the role has its new rights with their next request."""
    require(actor, Action.ROLE_UPDATE, root_scope())
    row = held(role, "role")
    before = snapshot(row)
    _fill(row, actor, values, creating=False)
    row.updated_by = actor.name
    _save(row)
    record(
        actor=actor,
        action="update",
        entity_type="role",
        entity_id=row.pk,
        entity_name=row.name,
        before=before,
        after=snapshot(row),
    )
    if (before["clusterRole"], before["enabled"]) != (row.cluster_role, row.enabled):
        for rule in AccessRule.objects.filter(custom_role=row).select_related("scope", "custom_role"):
            publish_rule(rule, info(row).cluster_role if row.enabled else "")
    return row


@transaction.atomic
def delete_role(*, actor: Actor, role: Role) -> None:
    """Raises ``Conflict`` while a rule gives it to somebody, ``NotFound`` where it is gone already."""
    require(actor, Action.ROLE_DELETE, root_scope())
    role = held(role, "role")
    given = AccessRule.objects.filter(custom_role=role).count()
    if given:
        raise Conflict(f"{given} access rules give this role to somebody; remove them first.")
    AccessRule.ever.filter(custom_role=role).update(custom_role=None)
    record(
        actor=actor,
        action="delete",
        entity_type="role",
        entity_id=role.pk,
        entity_name=role.name,
        before=snapshot(role),
    )
    role.delete()


def snapshot(row: Role) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "permissionSets": row.permission_sets,
        "clusterRole": row.cluster_role,
    }


def _fill(row: Role, actor: Actor, values: dict[str, Any], *, creating: bool) -> None:
    if creating or "name" in values:
        row.name = display_name(values.get("name"))
    if "description" in values:
        given = values["description"]
        row.description = display_name(given, "description", longest=500) if given not in (None, "") else ""
    if "enabled" in values:
        if not isinstance(values["enabled"], bool):
            raise Invalid(FieldError("enabled", "must be true or false", values["enabled"]))
        row.enabled = values["enabled"]
    if creating or "permissionSets" in values:
        row.permission_sets = _sets(values.get("permissionSets"))
    if "kubernetesPermissions" in values:
        row.cluster_role = _cluster_role(values["kubernetesPermissions"])
    root = root_scope().path
    missing = sorted(action for action in actions_of(tuple(row.permission_sets)) if not actor.allows(action, root))
    if missing:
        raise Invalid(FieldError("permissionSets", f"you do not hold {', '.join(missing)} yourself"))
    if role_named(row.name):
        raise Conflict(f"A role named {row.name!r} exists already.")


def _sets(given: object) -> list[str]:
    known = sorted(PERMISSION_SETS)
    if not isinstance(given, list) or not given or len(given) > len(known):
        raise Invalid(FieldError("permissionSets", f"must be a list of ids; allowed are {known}", given, known))
    ids = [item.get("id") if isinstance(item, dict) else item for item in given]
    wrong = [item for item in ids if not isinstance(item, str) or item not in PERMISSION_SETS]
    if wrong:
        raise Invalid(FieldError("permissionSets", f"unknown id; allowed are {known}", wrong[0], known))
    return sorted(set(ids))


def _cluster_role(given: object) -> str:
    name = given.get("predefinedRole") if isinstance(given, dict) else None
    if name in (None, ""):
        return ""
    key = role_named(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else None
    if key is not None:
        return CLUSTER_ROLES[key]
    if name in CLUSTER_ROLE_NAMES:
        return str(name)
    allowed = sorted(ROLE_TITLES.values())
    field = "kubernetesPermissions.predefinedRole"
    raise Invalid(FieldError(field, f"must name a predefined role; allowed are {allowed}", name, allowed))


def _save(row: Role) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict(f"A role named {row.name!r} exists already.") from error
