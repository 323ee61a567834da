"""REST of service accounts, and of the deprecated name of the same thing, applications."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import APPLICATIONS
from access.models import Application
from access.roles import Action
from access.services import applications
from access.services.subjects import is_uuid
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import FLAG, TEXT
from tenants.context import current_tenant


class ServiceAccountsView(ApiView):
    """All of them, as the public API answers; filters, order and pages work where they are asked for."""

    allow = {"GET": Action.APPLICATION_VIEW, "POST": Action.APPLICATION_CREATE}
    accepts = {"POST": {"name*": TEXT}}
    listing = APPLICATIONS
    secret_key = "clientSecret"  # noqa: S105 (the name of a field)

    def get(self, request: Request) -> Response:
        tenant_id = current_tenant().pk
        page = APPLICATIONS.page(Application.objects.all(), APPLICATIONS.parse(request.query_params))
        headers = {"X-Next-Cursor": page.cursor} if page.cursor else {}
        return Response([shapes.application(row, tenant_id) for row in page.rows], headers=headers)

    def post(self, request: Request) -> Response:
        name = body(request).get("name")
        if not isinstance(name, str):
            raise Invalid(FieldError("name", "is missing", name))
        row, secret = applications.create_application(actor=self.actor, name=name)
        answer = {"id": str(row.pk), "name": row.name, "clientId": row.client_id, self.secret_key: secret}
        return Response(answer, status=201)


class ServiceAccountsCountView(ApiView):
    allow = {"GET": Action.APPLICATION_VIEW}
    listing = APPLICATIONS

    def get(self, request: Request) -> Response:
        query = APPLICATIONS.parse(request.query_params)
        return Response({"count": APPLICATIONS.count(Application.objects.all(), query)})


class ServiceAccountView(ApiView):
    allow = {
        "GET": Action.APPLICATION_VIEW,
        "PATCH": Action.APPLICATION_UPDATE,
        "DELETE": Action.APPLICATION_DELETE,
    }
    accepts = {"PATCH": {"enabled*": FLAG}}

    def get(self, request: Request, account_id: str) -> Response:
        return Response(shapes.application(application_or_404(account_id), current_tenant().pk))

    def patch(self, request: Request, account_id: str) -> Response:
        enabled = body(request).get("enabled")
        if not isinstance(enabled, bool):
            raise Invalid(FieldError("enabled", "must be true or false", enabled))
        row = applications.set_enabled(actor=self.actor, application=application_or_404(account_id), enabled=enabled)
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
    by: dict[str, Any] = {"pk": account_id} if is_uuid(account_id) else {"client_id": account_id[:64]}
    row = Application.objects.filter(**by).first()
    if row is None:
        raise NotFound("No service account has this id.")
    return row
