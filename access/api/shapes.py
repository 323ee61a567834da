"""Rows of the access room as JSON of the public API."""

from typing import Any

from access.models import AccessRule, Application, AuditEntry, User
from access.roles import ROLE_IDS, ROLE_TITLES, ROLES
from runai_cp.lib.renderers import timestamp


def user(row: User) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "username": row.email,
        "createdBy": row.created_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "lastLogin": timestamp(row.last_login),
        "isLocal": True,
        "groups": [],
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


def role(name: str) -> dict[str, Any]:
    return {
        "id": ROLE_IDS[name],
        "name": ROLE_TITLES[name],
        "description": f"{ROLE_TITLES[name]}: {len(ROLES[name])} actions",
        "scopeType": "tenant",
        "enabled": True,
        "kind": "predefined",
    }


def access_rule(row: AccessRule, tenant_id: int, cluster_id: str | None) -> dict[str, Any]:
    shape = {
        "id": row.pk,
        "subjectId": row.subject_name if row.subject_kind == "user" else str(row.subject_id),
        "subjectType": "user" if row.subject_kind == "user" else "service-account",
        "roleId": ROLE_IDS[row.role],
        "roleName": ROLE_TITLES[row.role],
        "scopeId": row.scope.ref,
        "scopeType": row.scope.kind,
        "scopeName": row.scope.name,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": None,
        "tenantId": tenant_id,
        "createdBy": row.created_by,
        "status": {"phase": "Ready"},
    }
    return shape | ({"clusterId": cluster_id} if cluster_id else {})


_API_ACTIONS = {"create", "update", "delete", "sign-in", "sign-out", "reset-password"}


def audit_entry(row: AuditEntry, tenant_id: int) -> dict[str, Any]:
    return {
        "timestamp": timestamp(row.at),
        "tenant_id": str(tenant_id),
        "subject": row.actor_name,
        "subject_type": "User" if row.actor_kind == "user" else "App",
        "source_ip": row.source_ip,
        "action": row.action if row.action in _API_ACTIONS else "update",
        "entity_type": row.entity_type,
        "entity_name": row.entity_name,
        "entity_id": row.entity_id,
        "result": "Succeeded" if row.result == "success" else "Failed",
        "request_id": row.request_id or None,
        "metadata": {"verb": row.action},
    }
