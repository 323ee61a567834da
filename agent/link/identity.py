"""The agent's identity: a P-256 key made in the cluster, kept in Secret ``runai-link-identity``; what it signs, opens.

The private key never leaves the cluster. It is stored before it is used to enrol, with the enrolment's id, so that an
answer that was lost is asked for again under the same id.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from agent.wire.enrolment import EnrolRequest
from agent.wire.sealed import INFO, NONCE_BYTES, POINT_BYTES, SEALED
from agent.wire.tokens import ASSERTION_ISSUER, ASSERTION_TTL_S


@dataclass(frozen=True, slots=True)
class Identity:
    """``cluster_id`` is empty until the enrolment is answered."""

    private_pem: str
    enrolment_id: str
    cluster_id: str = ""
    server_generation: str = ""

    def __repr__(self) -> str:
        return f"Identity(cluster_id={self.cluster_id!r}, key={self.key_id!r})"

    @classmethod
    def new(cls) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return cls(pem, secrets.token_hex(16))

    def enrolled(self, cluster_id: str, generation: str) -> Identity:
        return replace(self, cluster_id=cluster_id, server_generation=generation)

    @property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(self.private_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("identity: the private key is not an elliptic curve key")
        return key

    @property
    def public_pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def key_id(self) -> str:
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(der).hexdigest()[:32]

    def enrol_request(self, cluster_uid: str, version: str) -> EnrolRequest:
        proof = self._key.sign(self.enrolment_id.encode(), ec.ECDSA(hashes.SHA256()))
        return EnrolRequest(self.enrolment_id, self.public_pem, _b64(proof), cluster_uid, version)

    def assertion(self, audience: str, now_s: float) -> str:
        """A client assertion (JWT, ES256) good for one access token. ``now_s``: the server's time as we know it."""
        issued = int(now_s)
        claims = {
            "iss": ASSERTION_ISSUER,
            "sub": self.cluster_id,
            "aud": audience,
            "jti": secrets.token_hex(16),
            "iat": issued,
            "exp": issued + ASSERTION_TTL_S,
        }
        head = _b64(json.dumps({"alg": "ES256", "typ": "JWT", "kid": self.key_id}).encode())
        signed = f"{head}.{_b64(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def unseal(self, body: Any) -> Any:
        """The body with every sealed value opened. Raises ``ValueError`` when one was sealed to another key."""
        if isinstance(body, dict):
            if set(body) == {SEALED} and isinstance(body[SEALED], str):
                return self._open(body[SEALED])
            return {key: self.unseal(value) for key, value in body.items()}
        if isinstance(body, list):
            return [self.unseal(value) for value in body]
        return body

    def _open(self, text: str) -> str:
        try:
            raw = base64.b64decode(text, validate=True)
            point, nonce = raw[:POINT_BYTES], raw[POINT_BYTES : POINT_BYTES + NONCE_BYTES]
            shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
            key = HKDF(algorithm=hashes.SHA256(), length=32, salt=point, info=INFO).derive(shared)
            return AESGCM(key).decrypt(nonce, raw[POINT_BYTES + NONCE_BYTES :], self.cluster_id.encode()).decode()
        except Exception as error:
            raise ValueError("a sealed value cannot be opened with this agent's key") from error

    def to_data(self) -> dict[str, str]:
        """``data`` of the Secret."""
        fields = {
            "private-key": self.private_pem,
            "enrolment-id": self.enrolment_id,
            "cluster-id": self.cluster_id,
            "server-generation": self.server_generation,
        }
        return {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}

    @classmethod
    def from_data(cls, data: dict[str, str]) -> Identity:
        """Raises ``ValueError`` when the Secret is not one of ours."""
        try:
            found = {key: base64.b64decode(value).decode() for key, value in data.items()}
            return cls(
                found["private-key"],
                found["enrolment-id"],
                found.get("cluster-id", ""),
                found.get("server-generation", ""),
            )
        except (KeyError, ValueError) as error:
            raise ValueError("Secret runai-link-identity cannot be read; delete it and enrol again") from error


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
