"""Secrets inside documents, sealed to the agent's key: ECDH on P-256, HKDF-SHA256, AES-256-GCM.

A body marks a secret value as ``{"$secret": "text"}``; what is stored and sent is ``{"$sealed": "<base64>"}``, which
only the holder of the agent's private key can open (``agent.link.identity``). The cluster id is authenticated with it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from agent.wire.sealed import INFO, SEALED, SECRET


def has_secrets(body: Any) -> bool:
    """True when a value anywhere in the body is marked secret."""
    found: list[str] = []

    def note(text: str) -> dict[str, str]:
        found.append(text)
        return {}

    replace_secrets(body, note)
    return bool(found)


def replace_secrets(body: Any, make: Callable[[str], Any]) -> Any:
    """A copy of the body with ``make(text)`` in the place of every secret."""
    if isinstance(body, dict):
        if set(body) == {SECRET} and isinstance(body[SECRET], str):
            return make(body[SECRET])
        return {key: replace_secrets(value, make) for key, value in body.items()}
    if isinstance(body, (list, tuple)):
        return [replace_secrets(value, make) for value in body]
    return body


def seal_body(body: Any, public_key_pem: str, cluster_id: str) -> Any:
    """The body with every secret sealed. Raises ``ValueError`` when the key is not one of P-256."""
    key = load_pem_public_key(public_key_pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("public_key: must be a P-256 key")
    return replace_secrets(body, lambda text: {SEALED: _seal(text.encode(), key, cluster_id)})


def _seal(plain: bytes, recipient: ec.EllipticCurvePublicKey, cluster_id: str) -> str:
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    shared = ephemeral.exchange(ec.ECDH(), recipient)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=point, info=INFO).derive(shared)
    nonce = os.urandom(12)
    return base64.b64encode(point + nonce + AESGCM(key).encrypt(nonce, plain, cluster_id.encode())).decode()
