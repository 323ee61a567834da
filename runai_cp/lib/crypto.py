"""Encryption at rest: AES-256-GCM with a key id in front, bound to where the value is stored."""

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE = 12
_KEY_ID = 4


def seal(plain: bytes, place: str) -> bytes:
    """Encrypt for one ``place`` (schema, table, column, key); the value opens nowhere else."""
    key = settings.DATA_KEY
    nonce = secrets.token_bytes(_NONCE)
    return _key_id(key) + nonce + AESGCM(key).encrypt(nonce, plain, place.encode())


def unseal(sealed: bytes, place: str) -> bytes:
    """Raises ``ValueError`` for a value of another key or another place, or one that was changed."""
    key = settings.DATA_KEY
    if sealed[:_KEY_ID] != _key_id(key):
        raise ValueError("sealed with another data key")
    nonce = sealed[_KEY_ID : _KEY_ID + _NONCE]
    try:
        return AESGCM(key).decrypt(nonce, sealed[_KEY_ID + _NONCE :], place.encode())
    except InvalidTag as error:
        raise ValueError("the sealed value does not belong here or was changed") from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_KEY_ID]
