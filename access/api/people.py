"""REST of users, service accounts and the deprecated name of the latter, applications."""

import secrets
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.guard import SIGNED_IN
from access.models import Application, User
from access.roles import Action
from access.services import applications, users
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.listing import Field, Listing
from tenants.context import current_tenant

USERS = Listing(
    fields={
        "username": Field("email"),
        "createdBy": Field("created_by"),
        "lastLogin": Field("last_login"),
        "creationTime": Field("created_at"),
        "lastUpdated": Field("updated_at"),
    },
    search_paths=("email", "name"),
    default_sort=("email",),
    default_limit=500,
)


def user_or_404(user_id: str) -> User:
    row = User.objects.filter(pk=user_id).first()
    if row is None:
        raise NotFound("No user has this id.")
    return row


class UsersView(ApiView):
    allow = {"GET": Action.USER_VIEW, "POST": Action.USER_CREATE}

    def get(self, request: Request) -> Response:
        page = USERS.page(User.objects.all(), USERS.parse(request.query_params))
        return Response([shapes.user(row) for row in page.rows])

    def post(self, request: Request) -> Response:
        """Beyond the contract, ``password`` and ``name`` may be given; without a password one is made, shown once."""
        data = body(request)
        email, password = data.get("email"), data.get("password") or secrets.token_urlsafe(12)
        if not isinstance(email, str) or not isinstance(password, str):
            raise Invalid(FieldError("email", "must be an e-mail address", email))
        user = users.create_user(actor=self.actor, email=email, password=password, name=str(data.get("name") or ""))
        return Response({"id": str(user.pk), "username": user.email, "tempPassword": password}, status=201)


class UsersCountView(ApiView):
    allow = {"GET": Action.USER_VIEW}

    def get(self, request: Request) -> Response:
        return Response({"count": USERS.count(User.objects.all(), USERS.parse(request.query_params))})


class UserView(ApiView):
    allow = {"GET": Action.USER_VIEW, "DELETE": Action.USER_DELETE}

    def get(self, request: Request, user_id: str) -> Response:
        return Response(shapes.user(user_or_404(user_id)))

    def delete(self, request: Request, user_id: str) -> Response:
        users.delete_user(actor=self.actor, user=user_or_404(user_id))
        return Response(status=204)


class UserPasswordView(ApiView):
    allow = {"POST": Action.USER_UPDATE}

    def post(self, request: Request, user_id: str) -> Response:
        password = secrets.token_urlsafe(12)
        users.set_password(actor=self.actor, user=user_or_404(user_id), password=password)
        return Response({"tempPassword": password})


class MyPasswordView(ApiView):
    allow = {"POST": SIGNED_IN}

    def post(self, request: Request) -> Response:
        data = body(request)
        user = User.objects.filter(pk=self.actor.id).first() if self.actor.kind == "user" else None
        if user is None:
            raise Invalid(message="Only a user has a password.")
        if not user.check_password(str(data.get("currentPassword", ""))):
            raise Invalid(FieldError("currentPassword", "is wrong"))
        users.set_password(actor=self.actor, user=user, password=str(data.get("newPassword", "")))
        return Response({})


class ServiceAccountsView(ApiView):
    allow = {"GET": Action.APPLICATION_VIEW, "POST": Action.APPLICATION_CREATE}
    secret_key = "clientSecret"  # noqa: S105 (the name of a field)

    def get(self, request: Request) -> Response:
        tenant_id = current_tenant().pk
        return Response([shapes.application(row, tenant_id) for row in Application.objects.order_by("name")])

    def post(self, request: Request) -> Response:
        name = body(request).get("name")
        if not isinstance(name, str):
            raise Invalid(FieldError("name", "is missing", name))
        row, secret = applications.create_application(actor=self.actor, name=name)
        answer = {"id": str(row.pk), "name": row.name, "clientId": row.client_id, self.secret_key: secret}
        return Response(answer, status=201)


class ServiceAccountView(ApiView):
    allow = {
        "GET": Action.APPLICATION_VIEW,
        "PATCH": Action.APPLICATION_UPDATE,
        "DELETE": Action.APPLICATION_DELETE,
    }

    def get(self, request: Request, account_id: str) -> Response:
        return Response(shapes.application(application_or_404(account_id), current_tenant().pk))

    def patch(self, request: Request, account_id: str) -> Response:
        enabled = body(request).get("enabled")
        if not isinstance(enabled, bool):
            raise Invalid(FieldError("enabled", "must be true or false", enabled))
        row = application_or_404(account_id)
        applications.set_enabled(actor=self.actor, application=row, enabled=enabled)
        return Response(shapes.application(row, current_tenant().pk))

    def delete(self, request: Request, account_id: str) -> Response:
        applications.delete_application(actor=self.actor, application=application_or_404(account_id))
        return Response(status=204)


class ServiceAccountSecretView(ApiView):
    allow = {"POST": Action.APPLICATION_UPDATE}
    secret_key = "clientSecret"  # noqa: S105 (the name of a field)

    def post(self, request: Request, account_id: str) -> Response:
        secret = applications.regenerate_secret(actor=self.actor, application=application_or_404(account_id))
        return Response({self.secret_key: secret})


class ApplicationsView(ServiceAccountsView):
    """The deprecated name of service accounts, with its own name for the secret."""

    secret_key = "secret"  # noqa: S105 (the name of a field)


class ApplicationSecretView(ServiceAccountSecretView):
    secret_key = "secret"  # noqa: S105 (the name of a field)


def application_or_404(account_id: str) -> Application:
    by: dict[str, Any] = {"client_id": account_id} if account_id.startswith("app-") else {"pk": account_id}
    row = Application.objects.filter(**by).first()
    if row is None:
        raise NotFound("No service account has this id.")
    return row
