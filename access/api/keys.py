"""REST of access keys: one's own, everybody's for administrators, and their deprecated name, user applications."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import ACCESS_KEYS
from access.grants import Actor
from access.guard import SIGNED_IN
from access.models import AccessKey, SubjectKind
from access.roles import Action
from access.services import access_keys
from runai_cp.lib.api import body
from runai_cp.lib.errors import NotFound
from runai_cp.lib.openapi_parts import TEXT


def own_keys(actor: Actor) -> QuerySet[AccessKey]:
    rows = AccessKey.objects.select_related("owner")
    return rows.filter(owner_id=actor.id) if actor.kind == SubjectKind.USER else rows.none()


def key_or_404(rows: QuerySet[AccessKey], key_id: UUID) -> AccessKey:
    row = rows.filter(pk=key_id).first()
    if row is None:
        raise NotFound("No access key has this id.")
    return row


class AccessKeysView(ApiView):
    allow = {"GET": SIGNED_IN, "POST": SIGNED_IN}
    accepts = {"POST": {"name*": TEXT}}
    listing = ACCESS_KEYS
    secret_key = "clientSecret"  # noqa: S105 (the name of a field)
    bare = False

    def get(self, request: Request) -> Response:
        page = ACCESS_KEYS.page(own_keys(self.actor), ACCESS_KEYS.parse(request.query_params))
        shown = [shapes.access_key(row) for row in page.rows]
        return Response(shown if self.bare else page.envelope("accessKeys", shown))

    def post(self, request: Request) -> Response:
        key, secret = access_keys.create_key(actor=self.actor, name=body(request).get("name"))
        answer = {name: shapes.access_key(key)[name] for name in ("id", "clientId", "name", "createdAt")}
        return Response(answer | {self.secret_key: secret}, status=201)


class AccessKeyView(ApiView):
    allow = {"GET": SIGNED_IN, "DELETE": SIGNED_IN}

    def get(self, request: Request, key_id: UUID) -> Response:
        return Response(shapes.access_key(key_or_404(own_keys(self.actor), key_id)))

    def delete(self, request: Request, key_id: UUID) -> Response:
        access_keys.delete_key(actor=self.actor, key=key_or_404(own_keys(self.actor), key_id))
        return Response(status=204)


class AccessKeySecretView(ApiView):
    allow = {"POST": SIGNED_IN}

    def post(self, request: Request, key_id: UUID) -> Response:
        key = key_or_404(own_keys(self.actor), key_id)
        return Response({"clientSecret": access_keys.renew_key(actor=self.actor, key=key)})


class AllAccessKeysView(ApiView):
    allow = {"GET": Action.ACCESS_KEY_VIEW}
    listing = ACCESS_KEYS
    bare = False

    def get(self, request: Request) -> Response:
        query = ACCESS_KEYS.parse(request.query_params)
        page = ACCESS_KEYS.page(_narrowed(request), query)
        shown = [shapes.access_key(row, owner=True) for row in page.rows]
        return Response(shown if self.bare else page.envelope("accessKeys", shown))


class AllAccessKeysCountView(ApiView):
    allow = {"GET": Action.ACCESS_KEY_VIEW}
    listing = ACCESS_KEYS

    def get(self, request: Request) -> Response:
        return Response({"count": ACCESS_KEYS.count(_narrowed(request), ACCESS_KEYS.parse(request.query_params))})


class AnyAccessKeyView(ApiView):
    allow = {"DELETE": Action.ACCESS_KEY_DELETE}

    def delete(self, request: Request, key_id: UUID) -> Response:
        access_keys.delete_key(actor=self.actor, key=key_or_404(AccessKey.objects.select_related("owner"), key_id))
        return Response(status=204)


class UserApplicationsView(AccessKeysView):
    """Deprecated: a bare list, and ``secret`` for the secret."""

    secret_key = "secret"  # noqa: S105 (the name of a field)
    bare = True


class AllUserApplicationsView(AllAccessKeysView):
    bare = True


def _narrowed(request: Request) -> QuerySet[AccessKey]:
    rows = AccessKey.objects.select_related("owner")
    wanted: dict[str, Any] = {"clientId": "client_id", "createdBy": "owner__email__same"}
    for name, lookup in wanted.items():
        value = request.query_params.get(name, "").replace("\x00", "")[:254]
        if value:
            rows = rows.filter(**{lookup: value})
    return rows
