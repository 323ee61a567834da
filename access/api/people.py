"""REST of users: local ones are made here, others come with a sign-in through an identity provider."""

import secrets
from collections.abc import Sequence
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import USERS
from access.guard import SIGNED_IN
from access.models import GroupMember, User
from access.roles import Action
from access.services import users
from access.services.factors import reset_factors
from access.services.sessions import keep_open
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import FLAG, TEXT


def user_or_404(user_id: str) -> User:
    row = User.objects.filter(pk=user_id).first()
    if row is None:
        raise NotFound("No user has this id.")
    return row


def group_names(rows: Sequence[User]) -> dict[UUID, list[str]]:
    """Names of the groups of many people: one query, without a row object a membership."""
    found: dict[UUID, list[str]] = {}
    members = GroupMember.objects.filter(user__in=[row.pk for row in rows]).order_by("group__name")
    for user_id, name in members.values_list("user_id", "group__name"):
        found.setdefault(user_id, []).append(name)
    return found


class UsersView(ApiView):
    """A bare list, as the public API has it; with ``cursor`` the next page's cursor is in ``X-Next-Cursor``."""

    allow = {"GET": Action.USER_VIEW, "POST": Action.USER_CREATE}
    accepts = {"POST": {"email*": TEXT, "name": TEXT, "password": TEXT, "resetPassword": FLAG}}
    listing = USERS

    def get(self, request: Request) -> Response:
        query = USERS.parse(request.query_params)
        page = USERS.page(User.objects.all(), query)
        headers = {"X-Next-Cursor": page.cursor} if page.cursor else {}
        names = group_names(page.rows)
        return Response([shapes.user(row, names.get(row.pk, [])) for row in page.rows], headers=headers)

    def post(self, request: Request) -> Response:
        """Beyond the contract, ``password`` and ``name`` may be given; without a password one is made, shown once."""
        data = body(request)
        email, password = data.get("email"), data.get("password") or secrets.token_urlsafe(12)
        if not isinstance(email, str):
            raise Invalid(FieldError("email", "must be an e-mail address", email))
        if not isinstance(password, str):
            raise Invalid(FieldError("password", "must be text"))
        name = data.get("name") or ""
        if not isinstance(name, str):
            raise Invalid(FieldError("name", "must be text", name))
        made = "password" not in data or data.get("resetPassword") is True
        user = users.create_user(actor=self.actor, email=email, password=password, name=name, temporary=made)
        answer = {"id": str(user.pk), "username": user.email, "tempPassword": password if made else ""}
        return Response(answer, status=201)


class UsersCountView(ApiView):
    allow = {"GET": Action.USER_VIEW}
    listing = USERS

    def get(self, request: Request) -> Response:
        return Response({"count": USERS.count(User.objects.all(), USERS.parse(request.query_params))})


class UserView(ApiView):
    """``PATCH`` is not in the reference: disable a person, and enable them again."""

    allow = {"GET": Action.USER_VIEW, "PATCH": Action.USER_UPDATE, "DELETE": Action.USER_DELETE}
    accepts = {"PATCH": {"enabled*": FLAG}}

    def get(self, request: Request, user_id: str) -> Response:
        row = user_or_404(user_id)
        return Response(shapes.user(row, group_names([row]).get(row.pk, [])))

    def patch(self, request: Request, user_id: str) -> Response:
        enabled = body(request).get("enabled")
        if not isinstance(enabled, bool):
            raise Invalid(FieldError("enabled", "must be true or false", enabled))
        row = users.set_active(actor=self.actor, user=user_or_404(user_id), active=enabled)
        return Response(shapes.user(row, group_names([row]).get(row.pk, [])))

    def delete(self, request: Request, user_id: str) -> Response:
        users.delete_user(actor=self.actor, user=user_or_404(user_id))
        return Response(status=204)


class UserPasswordView(ApiView):
    allow = {"POST": Action.USER_UPDATE}

    def post(self, request: Request, user_id: str) -> Response:
        password = secrets.token_urlsafe(12)
        users.set_password(actor=self.actor, user=user_or_404(user_id), password=password, temporary=True)
        return Response({"tempPassword": password})


class UserLogoutView(ApiView):
    """Every session and token of the person ends."""

    allow = {"POST": Action.USER_UPDATE}

    def post(self, request: Request, user_id: str) -> Response:
        users.log_out(actor=self.actor, user=user_or_404(user_id))
        return Response({"code": 200, "message": "The user was signed out everywhere."})


class UserFactorsView(ApiView):
    """Not in the reference: take a person's second factors away, who lost them."""

    allow = {"DELETE": Action.USER_UPDATE}

    def delete(self, request: Request, user_id: str) -> Response:
        reset_factors(actor=self.actor, user=user_or_404(user_id))
        return Response(status=204)


class MyPasswordView(ApiView):
    allow = {"POST": SIGNED_IN}
    accepts = {"POST": {"currentPassword*": TEXT, "newPassword*": TEXT}}

    def post(self, request: Request) -> Response:
        data = body(request)
        user = User.objects.filter(pk=self.actor.id).first() if self.actor.kind == "user" else None
        if user is None:
            raise Invalid(message="Only a user has a password.")
        users.check_current_password(user=user, given=data.get("currentPassword"))
        own = getattr(request._request, "session", None) if request.auth is None else None
        users.set_password(
            actor=self.actor,
            user=user,
            password=str(data.get("newPassword", "")),
            keep_session=own.session_key if own is not None else None,
        )
        if own is not None:
            keep_open(request._request, user)
        return Response({})
