"""What the lists of the access room can be filtered, sorted and searched by; the API and the console read them."""

from datetime import datetime

from runai_cp.lib.listing import Field, Listing

_MADE = {"createdBy": Field("created_by"), "createdAt": Field("created_at", datetime)}
_USED = {"lastLogin": Field("last_used_at", datetime)}

USERS = Listing(
    fields={
        "username": Field("email"),
        "name": Field("name"),
        "createdBy": Field("created_by"),
        "lastLogin": Field("last_login", datetime),
        "creationTime": Field("created_at", datetime),
        "lastUpdated": Field("updated_at", datetime),
        "isLocal": Field("is_local", bool),
        "enabled": Field("is_active", bool),
        "type": Field("is_local", bool, filterable=False),
    },
    search_paths=("email", "name"),
    default_sort=("email",),
    default_limit=500,
)
APPLICATIONS = Listing(
    fields={
        "name": Field("name"),
        "clientId": Field("client_id"),
        "updatedAt": Field("updated_at", datetime),
        "enabled": Field("enabled", bool),
        **_MADE,
        **_USED,
    },
    search_paths=("name", "client_id"),
    default_sort=("name",),
    default_limit=500,
)
ACCESS_KEYS = Listing(
    fields={
        "name": Field("name"),
        "clientId": Field("client_id"),
        **_MADE,
        **_USED,
        "createdBy": Field("owner__email"),
    },
    search_paths=("name", "owner__email"),
    default_sort=("name",),
    default_limit=500,
)
GROUPS = Listing(
    fields={
        "name": Field("name"),
        "origin": Field("origin"),
        **_MADE,
    },
    search_paths=("name", "description"),
    default_sort=("name",),
)
ROLES = Listing(
    fields={
        "name": Field("name"),
        "kind": Field("kind"),
        "enabled": Field("enabled", bool),
        "updatedAt": Field("updated_at", datetime),
        **_MADE,
    },
    search_paths=("name", "description"),
    default_sort=("name",),
)
RULES = Listing(
    fields={
        "subjectId": Field("subject_name"),
        "subjectType": Field("subject_type"),
        "roleId": Field("role_id", int),
        "roleName": Field("role_title"),
        "scopeId": Field("scope__ref"),
        "scopeType": Field("scope__kind"),
        "scopeName": Field("scope__name"),
        "updatedAt": Field("updated_at", datetime),
        "deletedAt": Field("deleted_at", datetime),
        "expiresAt": Field("expires_at", datetime),
        **_MADE,
    },
    search_paths=("subject_name", "scope__name", "role_title"),
    default_sort=("-created_at",),
)
AUDIT = Listing(
    fields={
        "timestamp": Field("at", datetime),
        "subject": Field("actor_name"),
        "subject_type": Field("subject_type"),
        "source_ip": Field("ip_text"),
        "action": Field("action"),
        "result": Field("outcome"),
        "url": Field("url"),
        "http_method": Field("http_method"),
        "entity_type": Field("entity_type"),
        "entity_name": Field("entity_name"),
        "entity_id": Field("entity_id"),
        "cluster_name": Field("cluster_name"),
    },
    search_paths=("actor_name", "entity_name", "action", "url"),
    default_sort=("-at",),
)
WEBHOOKS = Listing(
    fields={
        "name": Field("name"),
        "url": Field("url"),
        "enabled": Field("enabled", bool),
        "createdAt": Field("created_at", datetime),
    },
    search_paths=("name", "url"),
    default_sort=("name",),
)
DELIVERIES = Listing(
    fields={
        "event": Field("event"),
        "state": Field("state"),
        "attempts": Field("attempts", int),
        "createdAt": Field("created_at", datetime),
    },
    search_paths=("event", "error"),
    default_sort=("-created_at",),
)
