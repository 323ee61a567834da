"""Credentials for kubectl, and what an API server must know to believe them. Ours; not in the public contract."""

import uuid
from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.guard import SIGNED_IN
from access.roles import Action
from access.services.id_tokens import authenticator, issue_id_token
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.openapi_parts import TEXT

CONFIG_VERSION = "apiserver.config.k8s.io/v1"


class KubernetesTokenView(ApiView):
    """``POST``: an ID token for one cluster, of whoever asks."""

    allow = {"POST": SIGNED_IN}
    accepts = {"POST": {"clusterId*": TEXT}}
    rate = "token"
    idempotent = False  # an answer with a credential in it is not kept

    def post(self, request: Request) -> Response:
        made = issue_id_token(actor=self.actor, cluster_id=_cluster_id(body(request).get("clusterId")))
        expires = datetime.fromtimestamp(made.expires_at, UTC).isoformat().replace("+00:00", "Z")
        answer = {"token": made.token, "expiresAt": expires, "username": made.username, "groups": list(made.groups)}
        return Response(answer, headers={"Cache-Control": "no-store"})


class KubernetesAuthenticationView(ApiView):
    """``GET``: the ``AuthenticationConfiguration`` for the cluster's API server (``--authentication-config``)."""

    allow = {"GET": Action.CLUSTER_UPDATE}

    def get(self, request: Request, cluster_id: uuid.UUID) -> Response:
        jwt = authenticator(actor=self.actor, cluster_id=cluster_id)
        return Response({"apiVersion": CONFIG_VERSION, "kind": "AuthenticationConfiguration", "jwt": [jwt]})


def _cluster_id(given: object) -> uuid.UUID:
    try:
        return uuid.UUID(str(given))
    except ValueError as error:
        raise Invalid(FieldError("clusterId", "must be the UUID of a cluster", str(given)[:80])) from error
