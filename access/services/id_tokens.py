"""ID tokens for kubectl: the same people and groups as everywhere else, for one cluster, for ten minutes."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.db import connection

from access.grants import Actor
from access.models import GroupMember, Scope, ScopeKind, SubjectKind
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.issuer_keys import TOKEN_LIFE, signing_key
from link import services as link
from link.protocol.issuer import ALGORITHM
from runai_cp.lib.errors import NotFound
from runai_cp.lib.models import uuid7

USERNAME, GROUPS = "preferred_username", "groups"
"""Claims that API servers read: exactly the names that access rules bind in the clusters."""


@dataclass(frozen=True, slots=True)
class IdToken:
    """``expires_at`` in seconds since 1970."""

    token: str
    expires_at: int
    username: str
    groups: tuple[str, ...]


def issue_id_token(*, actor: Actor, cluster_id: uuid.UUID) -> IdToken:
    """For a person or program that holds anything in the cluster. Its audience is that cluster's id: whoever reads it
    in one cluster cannot use it in another. Raises ``NotFound``.
    """
    scope = _cluster(cluster_id)
    if scope is None or not any(_touches(grant.path, scope.path) for grant in actor.grants):
        raise NotFound("There is no cluster with this id, or nothing in it is yours.")
    kid, key = signing_key()
    groups = _groups_of(actor)
    now = int(time.time())
    claims = {
        "iss": link.issuer_of(connection.schema_name),
        "sub": actor.id,
        "aud": audience_of(cluster_id),
        USERNAME: actor.name,
        GROUPS: list(groups),
        "iat": now,
        "exp": now + int(TOKEN_LIFE.total_seconds()),
        "jti": uuid7().hex,
    }
    record(
        actor=actor,
        action="token",
        entity_type="cluster",
        entity_id=cluster_id,
        entity_name=scope.name,
        scope_path=scope.path,
        after={"groups": list(groups)},
    )
    token = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid})
    return IdToken(token, claims["exp"], actor.name, groups)


def authenticator(*, actor: Actor, cluster_id: uuid.UUID) -> dict[str, Any]:
    """The ``JWTAuthenticator`` that a cluster's API server needs (apiserver.config.k8s.io/v1).

    ``discoveryURL`` is for clusters that reach the link under another name; it is left out here. Names that Kubernetes
    keeps for itself are refused there a second time. Raises ``NotFound`` and ``NotAllowed``.
    """
    scope = _cluster(cluster_id)
    if scope is None:
        raise NotFound("There is no cluster with this id.")
    require(actor, Action.CLUSTER_UPDATE, scope)
    signing_key()
    issuer = {"url": link.issuer_of(connection.schema_name), "audiences": [audience_of(cluster_id)]}
    if settings.LINK_CA_FILE:
        with open(settings.LINK_CA_FILE) as file:
            issuer["certificateAuthority"] = file.read()
    return {
        "issuer": issuer,
        "claimMappings": {
            "username": {"claim": USERNAME, "prefix": ""},
            "groups": {"claim": GROUPS, "prefix": ""},
        },
        "userValidationRules": [
            {
                "expression": "!user.username.startsWith('system:')",
                "message": "user names must not begin with 'system:'",
            },
            {
                "expression": "user.groups.all(group, !group.startsWith('system:'))",
                "message": "group names must not begin with 'system:'",
            },
        ],
    }


def audience_of(cluster_id: uuid.UUID) -> str:
    return f"cluster:{cluster_id}"


def _cluster(cluster_id: uuid.UUID) -> Scope | None:
    return Scope.objects.filter(kind=ScopeKind.CLUSTER, ref=str(cluster_id)).first()


def _touches(granted: str, cluster: str) -> bool:
    """Above, at or below the cluster."""
    return cluster.startswith(granted) or granted.startswith(cluster)


def _groups_of(actor: Actor) -> tuple[str, ...]:
    if actor.kind != SubjectKind.USER:
        return ()
    members = GroupMember.objects.filter(user_id=actor.id)
    return tuple(members.order_by("group__name").values_list("group__name", flat=True))
