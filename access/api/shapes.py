"""Rows of the access room as JSON of the public API."""

from typing import Any
from uuid import UUID

from access.models import (
    AccessKey,
    AccessRule,
    Application,
    AuditEntry,
    Group,
    Role,
    User,
    Webhook,
    WebhookDelivery,
)
from access.resources import permissions
from access.roles import PERMISSION_SETS, PREDEFINED, ROLES, actions_of
from access.services.roles import role_of
from runai_cp.lib.renderers import timestamp


def user(row: User, groups: list[str]) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "username": row.email,
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "lastLogin": timestamp(row.last_login),
        "name": row.name,
        "isLocal": row.is_local,
        "enabled": row.is_active,
        "groups": groups,
    }


def application(row: Application, tenant_id: int) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "clientId": row.client_id,
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "lastLogin": timestamp(row.last_used_at),
        "enabled": row.enabled,
        "tenantId": str(tenant_id),
    }


def access_key(row: AccessKey, *, owner: bool = False) -> dict[str, Any]:
    shape = {
        "id": str(row.pk),
        "name": row.name,
        "clientId": row.client_id,
        "createdAt": timestamp(row.created_at),
        "lastLogin": timestamp(row.last_used_at),
    }
    return shape | ({"createdBy": row.owner.email} if owner else {})


def group(row: Group) -> dict[str, Any]:
    """``size`` must be annotated: the number of members."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "origin": row.origin,
        "description": row.description,
        "memberCount": row.size,  # type: ignore[attr-defined]
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
    }


BEGAN = "2024-01-01T00:00:00.000Z"
"""Predefined roles are older than any tenant."""


def role(key: str) -> dict[str, Any]:
    """A predefined role."""
    known = PREDEFINED[key]
    return {
        "id": known.id,
        "name": known.title,
        "description": known.description,
        "scopeType": "tenant",
        "enabled": True,
        "effectiveEnabled": True,
        "custom": False,
        "kind": "predefined",
        "createdAt": BEGAN,
        "updatedAt": BEGAN,
        "deletedAt": None,
        "createdBy": "system",
        "permissions": permissions(ROLES[key]),
        "permissionSets": list(known.sets),
        "kubernetesPermissions": {"predefinedRole": known.title},
    }


def custom_role(row: Role) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "description": row.description,
        "scopeType": "tenant",
        "enabled": row.enabled,
        "effectiveEnabled": row.enabled,
        "custom": True,
        "kind": "custom",
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": None,
        "createdBy": row.created_by,
        "permissions": permissions(actions_of(tuple(row.permission_sets))),
        "permissionSets": row.permission_sets,
        "kubernetesPermissions": {"predefinedRole": row.cluster_role or None},
    }


def permission_set(name: str) -> dict[str, Any]:
    title, held = PERMISSION_SETS[name]
    return {"id": name, "name": title, "permissions": permissions(held), "actions": sorted(held)}


def access_rule(
    row: AccessRule, tenant_id: int, cluster_id: str | None, phase: tuple[str, str] = ("Ready", "")
) -> dict[str, Any]:
    """``custom_role`` and ``scope`` must be selected with the row."""
    known = role_of(row)
    word, message = ("Deleting", "") if row.deleted_at else phase
    shape = {
        "id": row.pk,
        "subjectId": row.subject_name if row.subject_kind != "application" else str(row.subject_id),
        "subjectName": row.subject_name,
        "subjectType": "service-account" if row.subject_kind == "application" else row.subject_kind,
        "roleId": known.id,
        "roleName": known.title,
        "scopeId": row.scope.ref,
        "scopeType": row.scope.kind,
        "scopeName": row.scope.name,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": timestamp(row.deleted_at),
        "expiresAt": timestamp(row.expires_at),
        "tenantId": tenant_id,
        "createdBy": row.created_by,
        "status": {"phase": word} | ({"message": message} if message else {}),
    }
    return shape | ({"clusterId": cluster_id} if cluster_id else {})


def webhook(row: Webhook) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "url": row.url,
        "events": row.events,
        "enabled": row.enabled,
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
    }


def delivery(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "event": row.event,
        "state": row.state,
        "attempts": row.attempts,
        "statusCode": row.status_code,
        "error": row.error,
        "createdAt": timestamp(row.created_at),
        "nextAt": timestamp(row.next_at) if row.state == "waiting" else None,
        "deliveredAt": timestamp(row.delivered_at),
    }


_API_ACTIONS = {"create", "update", "delete", "sign-in", "sign-out", "reset-password"}


def audit_entry(row: AuditEntry, tenant_id: int) -> dict[str, Any]:
    """``id`` is a UUID made of the entry's number; ``metadata`` holds what the reference has no place for."""
    shape: dict[str, Any] = {
        "id": str(UUID(int=row.pk)),
        "timestamp": timestamp(row.at),
        "tenant_id": str(tenant_id),
        "subject": row.actor_name,
        "subject_type": "User" if row.actor_kind == "user" else "App",
        "action": row.action if row.action in _API_ACTIONS else "update",
        "entity_type": row.entity_type,
        "entity_name": row.entity_name,
        "entity_id": row.entity_id,
        "result": "Succeeded" if row.result == "success" else "Failed",
        "metadata": {"verb": row.action, "sequence": str(row.seq or ""), "hash": row.hash},
        "before": row.before,
        "after": row.after,
    }
    if row.entity_type == "cluster":
        shape["cluster_name"] = row.entity_name
    optional = {
        "source_ip": row.source_ip,
        "http_method": row.http_method if row.http_method in _METHODS else "",
        "url": row.url,
        "http_status_code": row.status_code,
        "request_id": row.request_id,
    }
    return shape | {name: value for name, value in optional.items() if value}


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
