"""REST of roles (both versions), permission sets, and what the caller itself may do."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.api.rules import rule_shapes
from access.filters import ROLES, RULES
from access.guard import SIGNED_IN
from access.models import AccessRule, GroupMember, Role, Scope, ScopeKind, SubjectKind
from access.resources import RESOURCES, VERBS, action_for, permissions
from access.roles import PERMISSION_SETS, PREDEFINED, Action
from access.selections import RoleRow, all_roles, with_columns
from access.services import roles
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import FLAG, OBJECT, TEXT, listed, one_of

ROLE_CHANGE = {
    "name": TEXT,
    "description": TEXT,
    "enabled": FLAG,
    "permissionSets": listed(one_of(*PERMISSION_SETS)),
    "kubernetesPermissions": OBJECT,
}
ROLE = {f"{name}*" if name in ("name", "permissionSets") else name: kind for name, kind in ROLE_CHANGE.items()}


def listed_role(row: RoleRow) -> dict[str, Any]:
    return shapes.role(row.key) if row.row is None else shapes.custom_role(row.row)


def role_shape(role_id: int) -> dict[str, Any]:
    key = next((key for key, role in PREDEFINED.items() if role.id == role_id), None)
    if key is not None:
        return shapes.role(key)
    row = Role.objects.filter(pk=role_id).first() if role_id < 2**31 else None
    if row is None:
        raise NotFound("No role has this id.")
    return shapes.custom_role(row)


class RolesView(ApiView):
    """Version 1: a bare list of all roles."""

    allow = {"GET": SIGNED_IN}

    def get(self, request: Request) -> Response:
        return Response([listed_role(row) for row in all_roles()])


class RoleView(ApiView):
    allow = {"GET": SIGNED_IN}

    def get(self, request: Request, role_id: int) -> Response:
        return Response(role_shape(role_id))


class RolesV2View(ApiView):
    """Version 2: with filters and pages, and roles of one's own."""

    allow = {"GET": SIGNED_IN, "POST": Action.ROLE_CREATE}
    accepts = {"POST": ROLE}
    listing = ROLES

    def get(self, request: Request) -> Response:
        page = ROLES.page(all_roles(), ROLES.parse(request.query_params))
        return Response(page.envelope("roles", [listed_role(row) for row in page.rows]))

    def post(self, request: Request) -> Response:
        row = roles.create_role(actor=self.actor, values=body(request))
        return Response(shapes.custom_role(row), status=201)


class RoleV2View(ApiView):
    allow = {"GET": SIGNED_IN, "PUT": Action.ROLE_UPDATE, "DELETE": Action.ROLE_DELETE}
    accepts = {"PUT": ROLE_CHANGE}

    def get(self, request: Request, role_id: int) -> Response:
        return Response(role_shape(role_id))

    def put(self, request: Request, role_id: int) -> Response:
        row = roles.update_role(actor=self.actor, role=roles.role_row(_small(role_id)), values=body(request))
        return Response(shapes.custom_role(row))

    def delete(self, request: Request, role_id: int) -> Response:
        roles.delete_role(actor=self.actor, role=roles.role_row(_small(role_id)))
        return Response(status=204)


class PermissionSetsView(ApiView):
    allow = {"GET": SIGNED_IN}

    def get(self, request: Request) -> Response:
        return Response({"permissionSets": [shapes.permission_set(name) for name in PERMISSION_SETS]})


class PermissionsView(ApiView):
    """What the caller may do somewhere."""

    allow = {"GET": SIGNED_IN}

    def get(self, request: Request) -> Response:
        return Response(permissions({action for grant in self.actor.grants for action in grant.actions}))


class PermittedScopesView(ApiView):
    """Where the caller may create, read, update and delete things of one resource type."""

    allow = {"POST": SIGNED_IN}
    accepts = {"POST": {"resourceType*": one_of(*RESOURCES), "action": one_of(*VERBS)}}

    def post(self, request: Request) -> Response:
        data = body(request)
        resource, verb = data.get("resourceType"), data.get("action")
        if not isinstance(resource, str) or resource not in RESOURCES:
            raise Invalid(
                FieldError("resourceType", f"allowed are {list(RESOURCES)}", str(resource)[:80], list(RESOURCES))
            )
        if verb is not None and verb not in VERBS:
            raise Invalid(FieldError("action", f"allowed are {list(VERBS)}", str(verb)[:80], list(VERBS)))
        paths = {}
        for name in VERBS:
            action = action_for(resource, name)
            paths[name] = self.actor.paths(action) if action and verb in (None, name) else ()
        wanted = {path for found in paths.values() for path in found}
        scopes = {scope.path: scope for scope in Scope.objects.filter(path__in=wanted)}
        return Response({name: _scopes([scopes[p] for p in found if p in scopes]) for name, found in paths.items()})


class MyRulesView(ApiView):
    """The access rules of the caller, those of their groups with them."""

    allow = {"GET": SIGNED_IN}
    listing = RULES

    def get(self, request: Request) -> Response:
        query = RULES.parse(request.query_params)
        rows = self.rows()
        page = RULES.page(rows, query)
        found = {
            "totalRecords": RULES.count(rows, query),
            "displayRecords": len(page.rows),
            "accessRules": rule_shapes(page.rows),
        }
        return Response({"accessRules": found})

    def rows(self) -> Any:
        rows = AccessRule.objects.get_queryset().in_force().select_related("scope", "custom_role")
        own = rows.filter(subject_kind=self.actor.kind, subject_id=self.actor.id)
        if self.actor.kind == SubjectKind.USER:
            groups = GroupMember.objects.filter(user_id=self.actor.id).values("group_id")
            own = own | rows.filter(subject_kind=SubjectKind.GROUP, subject_id__in=groups)
        return with_columns(own)


class MyRulesCountView(MyRulesView):
    def get(self, request: Request) -> Response:
        return Response({"count": RULES.count(self.rows(), RULES.parse(request.query_params))})


def _scopes(scopes: list[Scope]) -> dict[str, Any]:
    names = {
        "tenants": ScopeKind.TENANT,
        "clusters": ScopeKind.CLUSTER,
        "departments": ScopeKind.DEPARTMENT,
        "projects": ScopeKind.PROJECT,
    }
    return {"system": False} | {
        name: [scope.ref for scope in scopes if scope.kind == kind] for name, kind in names.items()
    }


def _small(role_id: int) -> int:
    return role_id if role_id < 2**31 else 0
