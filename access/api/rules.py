"""REST of access rules: one by one and in batches, with an update and an expiry that the reference lacks."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import RULES
from access.grants import Actor, ancestors
from access.models import AccessRule, Scope, ScopeKind, SubjectKind
from access.roles import PREDEFINED, Action
from access.selections import visible_rules
from access.services import rules
from access.services.projection import phases
from access.services.roles import find_role
from runai_cp.lib.api import body
from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import ANY_OBJECTS, MOMENT, TEXT, WHOLE, body_schema, listed, one_of
from tenants.context import current_tenant

SUBJECT_KINDS = {
    "user": SubjectKind.USER,
    "app": SubjectKind.APPLICATION,
    "service-account": SubjectKind.APPLICATION,
    "group": SubjectKind.GROUP,
}
MOST = 500
"""Rules that one batch may make or remove."""
LONGEST_ID = 64
"""Characters of a scope's public id."""

RULE_CHANGE = {"roleId": WHOLE, "scopeId": TEXT, "scopeType": one_of(*ScopeKind.values), "expiresAt": MOMENT}
RULE = {
    "subjectId*": TEXT,
    "subjectType*": one_of(*SUBJECT_KINDS),
    "roleId*": WHOLE,
    "scopeId*": TEXT,
    "scopeType*": one_of(*ScopeKind.values),
    "expiresAt": MOMENT,
}
BATCH = {"roleId*": WHOLE, "expiresAt": MOMENT, "subjects*": ANY_OBJECTS, "scopes*": ANY_OBJECTS}


class AccessRulesView(ApiView):
    allow = {"GET": Action.ACCESS_RULE_VIEW, "POST": Action.ACCESS_RULE_CREATE}
    accepts = {"POST": RULE}
    listing = RULES

    def get(self, request: Request) -> Response:
        query = RULES.parse(request.query_params)
        rows = asked_rules(request, self.actor)
        page = RULES.page(rows, query)
        envelope = page.envelope("accessRules", rule_shapes(page.rows))
        return Response(envelope | {"totalRecords": RULES.count(rows, query), "displayRecords": len(page.rows)})

    def post(self, request: Request) -> Response:
        rule = make(self.actor, body(request))
        return Response(rule_shapes([rule])[0], status=201)


class AccessRulesCountView(ApiView):
    allow = {"GET": Action.ACCESS_RULE_VIEW}
    listing = RULES

    def get(self, request: Request) -> Response:
        rows = asked_rules(request, self.actor)
        return Response({"count": RULES.count(rows, RULES.parse(request.query_params))})


class AccessRuleView(ApiView):
    """The update is ours: role, scope and expiry may change; the subject is who the rule is about and may not."""

    allow = {
        "GET": Action.ACCESS_RULE_VIEW,
        "PUT": Action.ACCESS_RULE_UPDATE,
        "DELETE": Action.ACCESS_RULE_DELETE,
    }
    accepts = {"PUT": RULE_CHANGE}

    def get(self, request: Request, rule_id: int) -> Response:
        rule = rule_or_404(self.actor, rule_id)
        return Response(rule_shapes([rule])[0] | {"scopePath": rule.scope.path})

    def put(self, request: Request, rule_id: int) -> Response:
        rule, data = rule_or_404(self.actor, rule_id), body(request)
        _refuse_other_subject(rule, data)
        scope = None
        if "scopeType" in data or "scopeId" in data:
            scope = scope_named(str(data.get("scopeType")), str(data.get("scopeId")))
        role = data.get("roleId", data.get("roleName"))
        change = rules.RuleChange(
            role=_role(role, "roleId") if role is not None else None,
            scope=scope,
            expires_at=expiry(data),
            forever="expiresAt" in data and data["expiresAt"] is None,
        )
        return Response(rule_shapes([rules.update_rule(actor=self.actor, rule=rule, change=change)])[0])

    def delete(self, request: Request, rule_id: int) -> Response:
        rules.delete_rule(actor=self.actor, rule=rule_or_404(self.actor, rule_id))
        return Response(status=204)


class AccessRulesBatchView(ApiView):
    """Remove many, or ask whether that would work. Each has its own result; what can be done is done."""

    allow = {"POST": Action.ACCESS_RULE_DELETE}
    accepts = {"POST": {"ids*": listed(TEXT), "action*": one_of("delete", "validate_delete")}}

    def post(self, request: Request) -> Response:
        data = body(request)
        ids, action = data.get("ids"), data.get("action")
        if action not in ("delete", "validate_delete"):
            allowed = ["delete", "validate_delete"]
            raise Invalid(FieldError("action", f"allowed are {allowed}", str(action)[:80], allowed))
        if not isinstance(ids, list) or not 1 <= len(ids) <= MOST:
            raise Invalid(FieldError("ids", f"must be a list of 1 to {MOST} ids"))
        run = rules.delete_rule if action == "delete" else rules.may_delete
        answer: dict[str, Any] = {"id": str(UUID(int=0)), "succeeded": [], "failed": []}
        for given in dict.fromkeys(str(item)[:64] for item in ids):
            try:
                run(actor=self.actor, rule=rule_or_404(self.actor, _number(given)))
                answer["succeeded"].append(given)
            except DomainError as error:
                answer["failed"].append({"id": given, "code": error.status, "message": error.message})
        return Response(answer)


class AccessRulesBatchCreateView(ApiView):
    """Every subject × every scope. Each has its own result; what can be made is made."""

    allow = {"POST": Action.ACCESS_RULE_CREATE}
    accepts = {"POST": {"payload*": body_schema(BATCH)}}

    def post(self, request: Request) -> Response:
        payload = body(request).get("payload")
        payload = payload if isinstance(payload, dict) else {}
        subjects, scopes = payload.get("subjects"), payload.get("scopes")
        for name, given in (("payload.subjects", subjects), ("payload.scopes", scopes)):
            if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
                raise Invalid(FieldError(name, "must be a list of objects"))
        role = payload.get("roleId")
        if isinstance(role, bool) or not isinstance(role, int):
            raise Invalid(FieldError("payload.roleId", "must be the number of a role", str(role)[:80]))
        if len(subjects) * len(scopes) > MOST:
            raise Invalid(FieldError("payload", f"makes more than {MOST} rules", len(subjects) * len(scopes)))
        made, failed = [], []
        common = {key: payload[key] for key in ("roleId", "expiresAt") if key in payload}
        for subject in subjects:
            for scope in scopes:
                asked = {**common, **_only(subject, "subject"), **_only(scope, "scope")}
                try:
                    made.append(make(self.actor, asked))
                except DomainError as error:
                    failed.append({"payload": asked, "code": error.status, "message": error.message})
        return Response({"succeeded": rule_shapes(made), "failed": failed})


def make(actor: Actor, data: dict[str, Any]) -> AccessRule:
    """A rule from the body of a request. Raises ``Invalid`` with every wrong field."""
    kind = SUBJECT_KINDS.get(str(data.get("subjectType")))
    errors = []
    if kind is None:
        allowed = sorted(SUBJECT_KINDS)
        errors.append(FieldError("subjectType", f"allowed are {allowed}", data.get("subjectType"), allowed))
    role = data.get("roleId", data.get("roleName"))
    if find_role(role) is None:
        ids = {role.title: role.id for role in PREDEFINED.values()}
        errors.append(FieldError("roleId", f"allowed are {ids} and your own roles", str(role)[:80], ids))
    if not isinstance(data.get("subjectId"), str) or not data["subjectId"]:
        errors.append(FieldError("subjectId", "must be text"))
    if errors or kind is None:
        raise Invalid(*errors)
    scope = scope_named(str(data.get("scopeType")), str(data.get("scopeId")))
    return rules.create_rule(
        actor=actor,
        subject_kind=kind,
        subject_id=data["subjectId"],
        role=_role(role, "roleId"),
        scope=scope,
        expires_at=expiry(data),
    )


def asked_rules(request: Request, actor: Actor) -> QuerySet[AccessRule]:
    """The list narrowed by the plain query parameters that stand beside ``filterBy``."""
    params = request.query_params
    removed = params.get("includeDeleted", "").lower() == "true"
    rows = visible_rules(actor, removed=removed)
    plain = {
        "subjectType": "subject_type",
        "scopeType": "scope__kind",
        "scopeId": "scope__ref",
        "subjectIdFilter": "subject_name__icontains",
    }
    for name, lookup in plain.items():
        if value := params.get(name):
            rows = rows.filter(**{lookup: _plain(name, value)})
    if value := params.get("roleId"):
        rows = rows.filter(role_id=_whole("roleId", value))
    if subjects := [item for text in params.getlist("subjectIds") for item in text.split(",") if item]:
        rows = rows.filter(subject_name__in=[_plain("subjectIds", item) for item in subjects[:MOST]])
    if value := params.get("lastUpdated"):
        rows = rows.filter(updated_at__gte=moment("lastUpdated", value))
    if value := params.get("clusterId"):
        cluster = Scope.objects.filter(kind=ScopeKind.CLUSTER, ref=_plain("clusterId", value)).first()
        rows = rows.filter(scope__path__startswith=cluster.path) if cluster else rows.none()
    return rows


def rule_or_404(actor: Actor, rule_id: int) -> AccessRule:
    row = visible_rules(actor).filter(pk=rule_id).first() if rule_id < 2**63 else None
    if row is None:
        raise NotFound("No access rule has this id.")
    return row


def rule_shapes(rows: Any) -> list[dict[str, Any]]:
    """A page of rules: clusters and phases with one query each."""
    rows = list(rows)
    wanted = {path for row in rows for path in (*ancestors(row.scope.path), row.scope.path)}
    clusters = Scope.objects.filter(kind=ScopeKind.CLUSTER, path__in=wanted) if rows else []
    refs = {scope.path: scope.ref for scope in clusters}
    known = phases(rows) if rows else {}
    tenant_id = current_tenant().pk
    return [
        shapes.access_rule(
            row,
            tenant_id,
            next((refs[path] for path in (*ancestors(row.scope.path), row.scope.path) if path in refs), None),
            known.get(row.pk, ("Ready", "")),
        )
        for row in rows
    ]


def scope_named(kind: str, ref: str) -> Scope:
    """The scope of a kind and its owner's public id. Raises ``Invalid``."""
    if kind not in ScopeKind.values:
        raise Invalid(FieldError("scopeType", f"allowed are {ScopeKind.values}", kind[:80], ScopeKind.values))
    if len(ref) > LONGEST_ID:
        raise Invalid(FieldError("scopeId", f"must have at most {LONGEST_ID} characters", ref[:80]))
    rows = Scope.objects.filter(kind=kind)
    scope = rows.first() if kind == ScopeKind.TENANT else rows.filter(ref=ref).first()
    if scope is None:
        raise Invalid(FieldError("scopeId", f"no {kind} has this id", ref[:80]))
    return scope


def expiry(data: dict[str, Any]) -> datetime | None:
    given = data.get("expiresAt")
    if given is None:
        return None
    if not isinstance(given, str):
        raise Invalid(FieldError("expiresAt", "must be an ISO 8601 date and time", given))
    return moment("expiresAt", given)


def moment(name: str, text: str) -> datetime:
    """A time of the query or the body; one without a zone is UTC. Raises ``Invalid``."""
    try:
        found = parse_datetime(text.replace(" ", "+")) if len(text) < 64 else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise Invalid(FieldError(name, "must be an ISO 8601 date and time", text[:80]))
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not 1970 < found.year < 9999:
        raise Invalid(FieldError(name, "must lie between the years 1971 and 9998", text[:80]))
    return found


def _role(value: Any, field: str) -> str | int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Invalid(FieldError(field, "must be the number of a role", str(value)[:80]))
    return value


def _refuse_other_subject(rule: AccessRule, data: dict[str, Any]) -> None:
    same = {"subjectId": {rule.subject_name, str(rule.subject_id)}, "subjectType": set()}
    same["subjectType"] = {name for name, kind in SUBJECT_KINDS.items() if kind == rule.subject_kind}
    for name, allowed in same.items():
        if name in data and str(data[name]) not in allowed:
            raise Invalid(FieldError(name, "cannot be changed; make another rule", str(data[name])[:80]))


def _number(given: str) -> int:
    """A rule's number, also written as a UUID: batch endpoints of the public API declare UUIDs for the same ids."""
    if given.isascii() and given.isdigit() and len(given) < 19:
        return int(given)
    try:
        return UUID(given).int & (2**63 - 1)
    except ValueError as error:
        raise NotFound("No access rule has this id.") from error


def _only(item: dict[str, Any], prefix: str) -> dict[str, Any]:
    names = (f"{prefix}Id", f"{prefix}Type")
    return {name: item[name] for name in names if name in item}


def _plain(name: str, value: str) -> str:
    if "\x00" in value or len(value) > 300:
        raise Invalid(FieldError(name, "must have at most 300 characters and no NUL"))
    return value


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid(FieldError(name, "must be a whole number", value[:80]))
    return int(value)
