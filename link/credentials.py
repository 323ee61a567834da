"""Signatures of the link: agents' keys and proofs, client assertions in, access tokens out. Pure but for the clock."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from agent.wire.tokens import ACCESS_AUDIENCE, ACCESS_TTL_S, ASSERTION_ISSUER, ASSERTION_TTL_S
from link.refusal import Refused
from link.store.exchange import Caller

ISSUER = "runai"
LEEWAY_S = 60
"""Clocks differ; an agent further off is told the server's time and corrects itself."""


def key_id_of(public_key_pem: str) -> str:
    """Public name of a key: the start of its SHA-256. Raises ``Refused`` 422 unless it is a P-256 key."""
    key = _public_key(public_key_pem)
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:32]


def check_proof(public_key_pem: str, message: str, proof: str) -> None:
    """The sender holds the private key. Raises ``Refused`` 422."""
    key = _public_key(public_key_pem)
    try:
        signature = base64.urlsafe_b64decode(proof + "=" * (-len(proof) % 4))
        key.verify(signature, message.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Refused(422, "bad_proof", "proof: no signature of this key", permanent=True) from error


def _public_key(pem: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError) as error:
        raise Refused(422, "bad_key", "publicKey: PEM of a P-256 key is needed", permanent=True) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused(422, "bad_key", "publicKey: a P-256 key is needed", permanent=True)
    return key


@dataclass(frozen=True, slots=True)
class Assertion:
    cluster_id: UUID
    key_id: str


def read_assertion(text: str) -> Assertion:
    """Who claims to sign, unchecked: needed to find the key. Raises ``Refused`` 401."""
    try:
        key_id = jwt.get_unverified_header(text).get("kid", "")
        claims = jwt.decode(text, options={"verify_signature": False})
        return Assertion(UUID(str(claims["sub"])), str(key_id))
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise Refused(401, "bad_assertion", "the client assertion cannot be read") from error


def verify_assertion(text: str, public_key_pem: str, audience: str) -> str:
    """Its ``jti``. Raises ``Refused`` 401 saying whether the clock is the matter."""
    try:
        claims = jwt.decode(
            text,
            public_key_pem,
            algorithms=["ES256"],
            audience=audience,
            issuer=ASSERTION_ISSUER,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "jti", "sub"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise Refused(401, "token_expired", "the assertion has expired; compare clocks") from error
    except jwt.ImmatureSignatureError as error:
        raise Refused(401, "not_yet_valid", "the assertion is from the future; compare clocks") from error
    except jwt.PyJWTError as error:
        raise Refused(401, "bad_assertion", f"the client assertion is not valid: {type(error).__name__}") from error
    if claims["exp"] - claims["iat"] > ASSERTION_TTL_S or len(str(claims["jti"])) > 64:
        raise Refused(401, "bad_assertion", f"an assertion lives at most {ASSERTION_TTL_S} s")
    return str(claims["jti"])


class AccessTokens:
    """Makes and reads access tokens with the platform's signing key; their audience is the link alone."""

    def __init__(self, signing_key_pem: str) -> None:
        key = load_pem_private_key(signing_key_pem.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("RUNAI_SIGNING_KEY must be a P-256 private key")
        self._private, self._public = key, key.public_key()

    def make(self, cluster_id: UUID, schema_name: str, key_version: int, scopes: Iterable[str], epoch: int) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": ACCESS_AUDIENCE,
            "sub": "agent",
            "cid": str(cluster_id),
            "tid": schema_name,
            "kv": key_version,
            "epoch": epoch,
            "scp": " ".join(scopes),
            "iat": now,
            "exp": now + ACCESS_TTL_S,
        }
        return jwt.encode(claims, self._private, algorithm="ES256")

    def read(self, token: str, scope: str) -> Caller:
        """Raises ``Refused``: 401 ``token_expired``, ``not_yet_valid`` or ``bad_token``, 403 without the scope."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["ES256"],
                audience=ACCESS_AUDIENCE,
                issuer=ISSUER,
                leeway=5,
                options={"require": ["exp", "cid", "tid", "kv", "scp"]},
            )
            caller = Caller(
                UUID(claims["cid"]), str(claims["tid"]), int(claims["kv"]), frozenset(str(claims["scp"]).split())
            )
        except jwt.ExpiredSignatureError as error:
            raise Refused(401, "token_expired", "the access token has expired") from error
        except jwt.ImmatureSignatureError as error:
            raise Refused(401, "not_yet_valid", "the access token is not valid yet") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(401, "bad_token", "the access token is not valid") from error
        if scope not in caller.scopes:
            raise Refused(403, "wrong_scope", f"this token may not {scope}", permanent=True)
        return caller
