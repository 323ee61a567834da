"""Time-based one-time codes (RFC 6238): SHA-1, six digits, thirty seconds, as authenticator apps make them. Pure."""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
DRIFT = 1
"""Steps that a clock may be early or late."""
SECRET_BYTES = 20
"""RFC 4226 section 4 asks for 160 bits."""


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """The code of one time step: RFC 4226 section 5.3, dynamic truncation."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: bytes, code: str, *, now: float, after: int) -> int | None:
    """The time step that ``code`` belongs to; None for a wrong code, or one of a step that was used (``<= after``)."""
    current = int(now // STEP_S)
    found = None
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


def base32(secret: bytes) -> str:
    """As people type it into an app, without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, *, account: str, issuer: str) -> str:
    """``otpauth://`` as a QR code carries it."""
    values = {"secret": base32(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{urlencode(values, quote_via=quote)}"
