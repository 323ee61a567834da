"""The lists below Access and Audit: their columns, filters and bulk acts. ``access.filters`` says how they sort."""

from access.filters import ACCESS_KEYS, APPLICATIONS, AUDIT, GROUPS, ROLES, RULES, USERS
from access.models import AccessRule, AuditEntry
from access.roles import PERMISSION_SETS
from access.selections import RoleRow
from runai_cp.lib.tables import Bulk, Column, FilterOn, Table

NAMED = FilterOn("name", "Name", operator="=@")
MAKER = FilterOn("createdBy", "Made by", operator="=@")


def _made(sort: str = "createdAt", by: str = "Made by") -> tuple[Column, Column]:
    """Who made it, and when."""
    return (
        Column("createdBy", by, lambda row: row.created_by, sort="createdBy"),
        Column("created", "Since", lambda row: row.created_at, sort=sort, start="desc", extra="num"),
    )


USED = Column("lastUsed", "Last token", lambda row: row.last_used_at, sort="lastLogin", start="desc", extra="num")
SINCE = _made()[1]

USERS_TABLE = Table(
    key="users",
    noun="person,people",
    listing=USERS,
    placeholder="E-mail or name contains",
    row_name=lambda row: row.email,
    columns=(
        Column("email", "Person", lambda row: row.email, "access/cells/user.html", "username", fixed=True),
        Column("name", "Name", lambda row: row.name, sort="name"),
        Column(
            "state",
            "State",
            lambda row: "active" if row.is_active else "disabled",
            "access/cells/active.html",
            "enabled",
        ),
        Column("kind", "Signs in with", lambda row: "password" if row.is_local else "single sign-on", sort="isLocal"),
        Column("lastLogin", "Last sign-in", lambda row: row.last_login, sort="lastLogin", start="desc", extra="num"),
        *_made("creationTime"),
        Column("id", "Id", lambda row: str(row.pk), extra="mono", hidden=True),
    ),
    filters=(
        FilterOn("isLocal", "Signs in with", (("true", "Password"), ("false", "Single sign-on"))),
        FilterOn("enabled", "State", (("true", "Active"), ("false", "Disabled"))),
        FilterOn("username", "E-mail", operator="=@"),
        NAMED,
        MAKER,
    ),
)
USERS_BULK = (
    Bulk("sign-out", "Sign out", "logout", "Every session and token of these people ends."),
    Bulk(
        "reset-factors",
        "Reset second factors",
        "key",
        "Their passwords alone sign them in, until they add a factor again: for people who lost their device.",
    ),
    Bulk("enable", "Enable", "play", "They can sign in again, with the rights they had."),
    Bulk("disable", "Disable", "pause", "They are out with their next request; their rules and keys stay meanwhile."),
    Bulk("delete", "Delete", "trash", "They can no longer sign in; their access rules and keys go with them."),
)

GROUPS_TABLE = Table(
    key="groups",
    noun="group,groups",
    listing=GROUPS,
    placeholder="Name or description contains",
    columns=(
        Column("name", "Group", lambda row: row.name, "access/cells/group.html", "name", fixed=True),
        Column("origin", "Members set by", lambda row: row.origin, "access/cells/origin.html", "origin"),
        Column("members", "Members", lambda row: row.size, extra="num"),
        Column("description", "Description", lambda row: row.description),
        *_made(),
    ),
    filters=(
        FilterOn("origin", "Members set by", (("local", "Administrators"), ("identity-provider", "Single sign-on"))),
        NAMED,
    ),
)
GROUPS_BULK = (Bulk("delete", "Delete", "trash", "The groups' access rules go with them; the people stay."),)

APPLICATIONS_TABLE = Table(
    key="service-accounts",
    noun="service account,service accounts",
    listing=APPLICATIONS,
    placeholder="Name or client id contains",
    row_name=lambda row: row.name,
    columns=(
        Column("name", "Service account", lambda row: row.name, "access/cells/application.html", "name", fixed=True),
        Column("state", "State", lambda row: "active" if row.enabled else "disabled", "access/cells/active.html",
               "enabled"),
        Column("clientId", "Client id", lambda row: row.client_id, sort="clientId", extra="mono"),
        USED,
        *_made(),
    ),
    filters=(
        FilterOn("enabled", "State", (("true", "Active"), ("false", "Disabled"))),
        NAMED,
        MAKER,
    ),
)  # fmt: skip
APPLICATIONS_BULK = (
    Bulk("enable", "Enable", "play", "They can ask for tokens again."),
    Bulk("disable", "Disable", "pause", "Their tokens stop working with the next request."),
)
APPLICATIONS_DELETE = Bulk("delete", "Delete", "trash", "Their access rules go with them, and their tokens end.")

KEYS_TABLE = Table(
    key="access-keys",
    noun="access key,access keys",
    listing=ACCESS_KEYS,
    placeholder="Name or owner contains",
    columns=(
        Column("name", "Access key", lambda row: row.name, "access/cells/key.html", "name", fixed=True),
        Column("owner", "Acts as", lambda row: row.owner.email, sort="createdBy"),
        Column("clientId", "Client id", lambda row: row.client_id, extra="mono"),
        USED,
        SINCE,
    ),
    filters=(FilterOn("createdBy", "Owner", operator="=@"), NAMED),
)
KEYS_BULK = (Bulk("delete", "Delete", "trash", "Programs that use them are out at once."),)


def _sets(row: RoleRow) -> list[str]:
    return [PERMISSION_SETS[key][0] for key in row.sets if key in PERMISSION_SETS]


ROLES_TABLE = Table(
    key="roles",
    noun="role,roles",
    listing=ROLES,
    placeholder="Name or description contains",
    row_name=lambda row: row.name,
    columns=(
        Column("name", "Role", lambda row: row.name, "access/cells/role_name.html", "name", fixed=True),
        Column("kind", "Made by", lambda row: row.kind, "access/cells/role_kind.html", "kind"),
        Column("state", "State", lambda row: "active" if row.enabled else "disabled", "access/cells/active.html",
               "enabled"),
        Column("description", "Description", lambda row: row.description, extra="wrap"),
        Column("sets", "Permission sets", _sets, "access/cells/role_sets.html"),
        Column("kubectl", "With kubectl", lambda row: row.cluster_role),
        Column("rules", "Rules", lambda row: row.given, "access/cells/role_rules.html", extra="num"),
        Column("createdBy", "Author", lambda row: row.created_by, sort="createdBy", hidden=True),
        Column("updated", "Changed", lambda row: row.updated_at, sort="updatedAt", start="desc", extra="num",
               hidden=True),
        Column("id", "Number", lambda row: row.pk, extra="num", hidden=True),
    ),
    filters=(
        FilterOn("kind", "Made by", (("predefined", "The platform"), ("custom", "Administrators"))),
        FilterOn("enabled", "State", (("true", "Active"), ("false", "Disabled"))),
        NAMED,
    ),
)  # fmt: skip
ROLES_SWITCH = (
    Bulk("enable", "Enable", "play", "Who holds them has their rights again at once."),
    Bulk("disable", "Disable", "pause", "They give nothing from the next request on; the rules stay."),
)
ROLES_DELETE = Bulk("delete", "Delete", "trash", "A role that a rule gives to somebody stays, as do the platform's.")


def _rule_scope(row: AccessRule) -> str:
    return f"{row.scope.kind} {row.scope.name}"


RULES_TABLE = Table(
    key="access-rules",
    noun="rule,rules",
    listing=RULES,
    placeholder="Subject, role or scope contains",
    row_name=lambda row: f"{row.subject_name}: {row.role_title} in {row.scope.name}",
    columns=(
        Column("subject", "Subject", lambda row: row.subject_name, "access/cells/subject.html", "subjectId",
               fixed=True),
        Column("role", "Role", lambda row: row.role_title, "access/cells/role.html", "roleName"),
        Column("scope", "Scope", _rule_scope, "access/cells/scope.html", "scopeName"),
        Column("expires", "Ends", lambda row: row.expires_at, "access/cells/expires.html", "expiresAt", extra="num"),
        *_made(by="Granted by"),
        Column("actions", "Change", lambda row: row.pk, "access/cells/rule_change.html", extra="c-act",
               fixed=True, page_only=True),
    ),
    filters=(
        FilterOn("subjectType", "Subject", (("user", "People"), ("group", "Groups"), ("service-account", "Programs"))),
        FilterOn("scopeType", "Scope", tuple((kind, kind.title()) for kind in
                                            ("tenant", "cluster", "department", "project"))),
        FilterOn("subjectId", "Subject", operator="=@"),
        FilterOn("roleName", "Role", operator="=@"),
        FilterOn("scopeName", "Scope", operator="=@"),
        FilterOn("createdBy", "Granted by", operator="=@"),
    ),
)  # fmt: skip
RULES_BULK = (Bulk("delete", "Remove", "trash", "Who holds only these is out at once, with kubectl in seconds."),)


def _entry_scope(row: AuditEntry) -> str:
    return row.scope_path


AUDIT_TABLE = Table(
    key="audit",
    noun="entry,entries",
    listing=AUDIT,
    placeholder="Who, what or object contains",
    row_name=lambda row: f"entry {row.seq}",
    columns=(
        Column("at", "When, UTC", lambda row: row.at, "access/cells/audit_at.html", "timestamp", "desc", fixed=True),
        Column("subject", "Who", lambda row: row.actor_name, "access/cells/audit_who.html", "subject"),
        Column("action", "Did", lambda row: row.action, sort="action", extra="nowrap"),
        Column("object", "What", lambda row: row.entity_name, "access/cells/audit_what.html", "entity_name"),
        Column("result", "Result", lambda row: row.result, "access/cells/audit_result.html", "result"),
        Column("from", "From", lambda row: row.source_ip, sort="source_ip", extra="mono"),
        Column("kind", "Kind", lambda row: row.entity_type, sort="entity_type", hidden=True),
        Column("method", "Method", lambda row: row.http_method, sort="http_method", hidden=True),
        Column("url", "Path", lambda row: row.url, sort="url", extra="mono", hidden=True),
        Column("request", "Request id", lambda row: row.request_id, extra="mono", hidden=True),
        Column("seq", "Number", lambda row: row.seq, extra="num", hidden=True),
        Column("before", "Before", lambda row: row.before, "access/cells/json.html", hidden=True),
        Column("after", "After", lambda row: row.after, "access/cells/json.html", hidden=True),
    ),
    filters=(
        FilterOn("result", "Result", (("Succeeded", "Succeeded"), ("Failed", "Failed or refused"))),
        FilterOn("action", "Did", tuple((word, word) for word in ("create", "update", "delete", "sign-in", "export"))),
        FilterOn("subject_type", "Who", (("User", "People"), ("App", "Programs and the platform"))),
        FilterOn("subject", "Who", operator="=@"),
        FilterOn("entity_type", "Kind of object", operator="=@"),
        FilterOn("entity_name", "Object", operator="=@"),
        FilterOn("source_ip", "From", operator="=@"),
        FilterOn("url", "Path", operator="=@"),
    ),
)
