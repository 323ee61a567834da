"""REST of groups. The reference has none: groups are names there that an identity provider sends."""

from typing import Any
from uuid import UUID

from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import GROUPS
from access.models import Group
from access.roles import Action
from access.services import groups
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import TEXT, listed


def group_or_404(group_id: UUID) -> Group:
    row = Group.objects.annotate(size=Count("members")).filter(pk=group_id).first()
    if row is None:
        raise NotFound("No group has this id.")
    return row


class GroupsView(ApiView):
    allow = {"GET": Action.GROUP_VIEW, "POST": Action.GROUP_CREATE}
    accepts = {"POST": {"name*": TEXT, "description": TEXT, "members": listed(TEXT)}}
    listing = GROUPS

    def get(self, request: Request) -> Response:
        page = GROUPS.page(Group.objects.annotate(size=Count("members")), GROUPS.parse(request.query_params))
        return Response(page.envelope("groups", [shapes.group(row) for row in page.rows]))

    def post(self, request: Request) -> Response:
        data = body(request)
        row = groups.create_group(
            actor=self.actor,
            name=data.get("name"),
            description=data.get("description", ""),
            members=_members(data) or (),
        )
        return Response(_detail(group_or_404(row.pk)), status=201)


class GroupsCountView(ApiView):
    allow = {"GET": Action.GROUP_VIEW}
    listing = GROUPS

    def get(self, request: Request) -> Response:
        return Response({"count": GROUPS.count(Group.objects.all(), GROUPS.parse(request.query_params))})


class GroupView(ApiView):
    allow = {"GET": Action.GROUP_VIEW, "PUT": Action.GROUP_UPDATE, "DELETE": Action.GROUP_DELETE}
    accepts = {"PUT": {"description": TEXT, "members": listed(TEXT)}}

    def get(self, request: Request, group_id: UUID) -> Response:
        return Response(_detail(group_or_404(group_id)))

    def put(self, request: Request, group_id: UUID) -> Response:
        data, row = body(request), group_or_404(group_id)
        if "name" in data and data["name"] != row.name:
            raise Invalid(FieldError("name", "cannot be changed: bindings in the clusters carry it"))
        groups.update_group(actor=self.actor, group=row, description=data.get("description"), members=_members(data))
        return Response(_detail(group_or_404(group_id)))

    def delete(self, request: Request, group_id: UUID) -> Response:
        groups.delete_group(actor=self.actor, group=group_or_404(group_id))
        return Response(status=204)


def _members(data: dict[str, Any]) -> list[str] | None:
    given = data.get("members")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise Invalid(FieldError("members", "must be a list of e-mail addresses"))
    return given


def _detail(row: Group) -> dict[str, Any]:
    members = row.members.order_by("email").values_list("email", flat=True)
    return shapes.group(row) | {"members": list(members[: groups.MOST])}
