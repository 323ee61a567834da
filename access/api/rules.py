"""REST of roles, access rules and the audit log."""

from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.grants import Actor, ancestors
from access.guard import SIGNED_IN
from access.models import AccessRule, AuditEntry, Scope, ScopeKind, SubjectKind
from access.roles import ROLE_IDS, Action, role_named
from access.services import rules
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.listing import Field, Listing
from tenants.context import current_tenant

RULES = Listing(
    fields={
        "subjectId": Field("subject_name"),
        "subjectType": Field("subject_kind"),
        "roleName": Field("role"),
        "scopeId": Field("scope__ref"),
        "scopeType": Field("scope__kind"),
        "scopeName": Field("scope__name"),
        "createdAt": Field("created_at", datetime),
        "createdBy": Field("created_by"),
    },
    search_paths=("subject_name", "scope__name", "role"),
)
AUDIT = Listing(
    fields={
        "timestamp": Field("at", datetime),
        "subject": Field("actor_name"),
        "subject_type": Field("actor_kind"),
        "action": Field("action"),
        "result": Field("result"),
        "entity_type": Field("entity_type"),
        "entity_name": Field("entity_name"),
        "entity_id": Field("entity_id"),
    },
    search_paths=("actor_name", "entity_name", "action"),
    default_sort=("-at",),
)
SUBJECT_KINDS = {"user": SubjectKind.USER, "app": SubjectKind.APPLICATION, "service-account": SubjectKind.APPLICATION}


def visible_rules(actor: Actor) -> Any:
    """Rules on scopes whose rules the actor may see."""
    rows = AccessRule.objects.select_related("scope")
    found = AccessRule.objects.none()
    for path in actor.paths(Action.ACCESS_RULE_VIEW):
        found = found | rows.filter(scope__path__startswith=path)
    return found


class RolesView(ApiView):
    allow = {"GET": SIGNED_IN}

    def get(self, request: Request) -> Response:
        return Response([shapes.role(name) for name in ROLE_IDS])


class AccessRulesView(ApiView):
    allow = {"GET": Action.ACCESS_RULE_VIEW, "POST": Action.ACCESS_RULE_CREATE}

    def get(self, request: Request) -> Response:
        query = RULES.parse(request.query_params)
        rows = visible_rules(self.actor)
        shown = [_shape(row) for row in RULES.page(rows, query).rows]
        total = RULES.count(rows, query)
        return Response({"accessRules": shown, "totalRecords": total, "displayRecords": len(shown)})

    def post(self, request: Request) -> Response:
        data = body(request)
        kind = SUBJECT_KINDS.get(str(data.get("subjectType")))
        role = role_named(data.get("roleId", data.get("roleName", "")))
        errors = []
        if kind is None:
            allowed = sorted(SUBJECT_KINDS)
            errors.append(FieldError("subjectType", f"allowed are {allowed}", data.get("subjectType"), allowed))
        if role is None:
            errors.append(FieldError("roleId", f"allowed are {ROLE_IDS}", data.get("roleId"), ROLE_IDS))
        if not data.get("subjectId"):
            errors.append(FieldError("subjectId", "is missing"))
        if errors or kind is None or role is None:
            raise Invalid(*errors)
        scope = scope_named(str(data.get("scopeType")), str(data.get("scopeId")))
        rule = rules.create_rule(
            actor=self.actor, subject_kind=kind, subject_id=data["subjectId"], role=role, scope=scope
        )
        return Response(_shape(rule), status=201)


class AccessRulesCountView(ApiView):
    allow = {"GET": Action.ACCESS_RULE_VIEW}

    def get(self, request: Request) -> Response:
        return Response({"count": RULES.count(visible_rules(self.actor), RULES.parse(request.query_params))})


class AccessRuleView(ApiView):
    allow = {"GET": Action.ACCESS_RULE_VIEW, "DELETE": Action.ACCESS_RULE_DELETE}

    def get(self, request: Request, rule_id: int) -> Response:
        return Response(_shape(self._rule(rule_id)))

    def delete(self, request: Request, rule_id: int) -> Response:
        rules.delete_rule(actor=self.actor, rule=self._rule(rule_id))
        return Response(status=204)

    def _rule(self, rule_id: int) -> AccessRule:
        row = visible_rules(self.actor).filter(pk=rule_id).first()
        if row is None:
            raise NotFound("No access rule has this id.")
        return row  # type: ignore[no-any-return]


class AuditLogView(ApiView):
    """``start`` and ``end`` bound the time; newest first."""

    allow = {"GET": Action.AUDIT_VIEW}

    def get(self, request: Request) -> Response:
        rows = AuditEntry.objects.all()
        for name, lookup in (("start", "at__gte"), ("end", "at__lte")):
            if moment := request.query_params.get(name):
                rows = rows.filter(**{lookup: _moment(name, moment)})
        query = AUDIT.parse(request.query_params)
        page = AUDIT.page(rows, query)
        tenant_id = current_tenant().pk
        answer = {
            "audit_logs": [shapes.audit_entry(row, tenant_id) for row in page.rows],
            "total": AUDIT.count(rows, query),
        }
        return Response(answer | ({"next": page.next} if page.next is not None else {}))


def scope_named(kind: str, ref: str) -> Scope:
    """The scope of a kind and its owner's public id. Raises ``Invalid``."""
    if kind not in ScopeKind.values:
        raise Invalid(FieldError("scopeType", f"allowed are {ScopeKind.values}", kind, ScopeKind.values))
    rows = Scope.objects.filter(kind=kind)
    scope = rows.first() if kind == ScopeKind.TENANT else rows.filter(ref=ref).first()
    if scope is None:
        raise Invalid(FieldError("scopeId", f"no {kind} has this id", ref))
    return scope


def _shape(rule: AccessRule) -> dict[str, Any]:
    paths = [*ancestors(rule.scope.path), rule.scope.path]
    cluster = Scope.objects.filter(kind=ScopeKind.CLUSTER, path__in=paths).values_list("ref", flat=True).first()
    return shapes.access_rule(rule, current_tenant().pk, cluster)


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(FieldError(name, "must be an ISO 8601 date and time", text)) from error
