"""The tenant's signing keys of its OIDC issuer: made when first needed, replaced every month, sealed at rest.

A key is published an hour before it signs, so that no API server meets a token of a key it cannot have seen, and an
hour after the last token it signed has ended.
"""

import base64
import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection, transaction
from django.utils import timezone

from access.grants import Actor
from access.models import IssuerKey
from access.services.audit import record
from link import services as link
from runai_cp.lib.crypto import seal, unseal
from runai_cp.lib.models import uuid7

ROTATE_AFTER = timedelta(days=30)
PUBLISHED_BEFORE = timedelta(hours=1)
TOKEN_LIFE = timedelta(minutes=10)
"""Of an ID token. Nobody can take one back from an API server, so it is short."""
PUBLISHED_AFTER = TOKEN_LIFE + timedelta(hours=1)


def signing_key() -> tuple[str, ec.EllipticCurvePrivateKey]:
    """(key id, private key) that signs now. The first call of a tenant makes and publishes it."""
    row = _signer(timezone.now())
    if row is None:
        with transaction.atomic():
            _take_turns()
            row = _signer(timezone.now()) or _make(signs_from=timezone.now())
            _publish()
    return row.kid, _opened(_place(row), bytes(row.secret))


@transaction.atomic
def rotate_keys(*, actor: Actor, now: datetime, at_once: bool = False) -> bool:
    """Make the next key where the present one is a month old, and forget those whose tokens have ended. Safe to repeat.

    ``at_once`` is for a key that leaked: a new one signs from now on, and all others are withdrawn; tokens of theirs
    are refused as soon as an API server asks for the keys again. True when a key was made.
    """
    _take_turns()
    newest = IssuerKey.objects.order_by("-signs_from").first()
    if at_once:
        IssuerKey.objects.all().delete()
        made = _make(signs_from=now)
    elif newest is not None and newest.signs_from <= now - ROTATE_AFTER:
        made = _make(signs_from=now + PUBLISHED_BEFORE)
    else:
        made = None
    dropped = _drop_ended(now)
    if made is not None or dropped:
        _publish()
    if made is not None:
        after = {"kid": made.kid, "atOnce": at_once}
        record(actor=actor, action="rotate", entity_type="issuer-key", entity_id=made.kid, after=after)
    return made is not None


def _signer(now: datetime) -> IssuerKey | None:
    return IssuerKey.objects.filter(signs_from__lte=now).order_by("-signs_from").first()


def _drop_ended(now: datetime) -> int:
    """A key ended when its successor began to sign; keep it until its last token ended too."""
    successor = IssuerKey.objects.filter(signs_from__lte=now - PUBLISHED_AFTER).order_by("-signs_from").first()
    if successor is None:
        return 0
    return IssuerKey.objects.filter(signs_from__lt=successor.signs_from).delete()[0]


def _make(*, signs_from: datetime) -> IssuerKey:
    private = ec.generate_private_key(ec.SECP256R1())
    public = jwk(private.public_key())
    row = IssuerKey(id=uuid7(), kid=public["kid"], public=public, signs_from=signs_from)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    row.secret = seal(private.private_bytes(serialization.Encoding.DER, form, none), _place(row))
    row.save()
    return row


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The public key as a JWK (RFC 7517, RFC 7518 section 6.2); ``kid`` is its thumbprint (RFC 7638)."""
    numbers = key.public_numbers()
    x, y = (_base64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    kid = _base64(hashlib.sha256(text.encode()).digest())
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"}


def _publish() -> None:
    keys = list(IssuerKey.objects.order_by("signs_from").values_list("public", flat=True))
    link.publish_issuer(schema_name=connection.schema_name, keys=keys)


def _take_turns() -> None:
    """One at a time in a tenant, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext('issuer'))", [connection.schema_name])


def _place(row: IssuerKey) -> str:
    return f"{connection.schema_name}/access_issuerkey/secret/{row.pk}"


@lru_cache(maxsize=256)
def _opened(place: str, sealed: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_der_private_key(unseal(sealed, place), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the issuer's key is no elliptic-curve key")
    return key


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
