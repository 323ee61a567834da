"""Signed access tokens (JWT, ES256). Each carries its tenant (``tid``) and is refused on every other tenant's host."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from access.grants import Actor
from runai_cp.lib.errors import NotAuthenticated
from runai_cp.lib.models import uuid7

AUDIENCE = "runai-api"
ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True)
class AccessToken:
    token: str
    expires_in: int


def issue(*, actor: Actor, schema_name: str, generation: int = 0, key_id: str = "", family: str = "") -> AccessToken:
    """A token of ``RUNAI_ACCESS_TOKEN_SECONDS``. Its payload is plain ASCII JSON: the public clients need that.

    ``generation`` is the credential's own: raising that ends the token. ``key_id`` is the access key it was got with,
    ``family`` the sign-in: removing either ends it too.
    """
    now = int(time.time())
    seconds = settings.ACCESS_TOKEN_SECONDS
    claims = {
        "iss": "runai",
        "aud": AUDIENCE,
        "sub": actor.id,
        "kind": actor.kind,
        "name": actor.name,
        "tid": schema_name,
        "gen": generation,
        **({"key": key_id} if key_id else {}),
        **({"fam": family} if family else {}),
        "jti": uuid7().hex,
        "iat": now,
        "exp": now + seconds,
    }
    return AccessToken(jwt.encode(claims, _private_key(settings.SIGNING_KEY), algorithm=ALGORITHM), seconds)


def verify(token: str, *, schema_name: str) -> dict[str, Any]:
    """The claims of a token. Raises ``NotAuthenticated`` when it is expired, forged, or another tenant's."""
    key = _private_key(settings.SIGNING_KEY).public_key()
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], audience=AUDIENCE, leeway=10, options={"require": ["exp", "sub", "tid"]}
        )
    except jwt.ExpiredSignatureError as error:
        raise NotAuthenticated("The access token has expired.") from error
    except jwt.InvalidTokenError as error:
        raise NotAuthenticated("The access token is not valid.") from error
    if claims["tid"] != schema_name:
        raise NotAuthenticated("Issuer is not familiar.")
    return claims


@lru_cache(maxsize=2)
def _private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("RUNAI_SIGNING_KEY_FILE must hold a P-256 private key")
    return key
