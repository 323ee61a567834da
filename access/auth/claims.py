"""From what an identity provider says of a person to what we keep of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runai_cp.lib.errors import DomainError

MOST_GROUPS = 1000
HIGHEST_ID = 2**32 - 2
"""Highest user or group id of Linux; 2**32 - 1 means none."""
_FAMILY = ("family_name", "surname", "sn", "urn:oid:2.5.4.4")
_GIVEN = ("given_name", "givenName", "firstName", "urn:oid:2.5.4.42")
_NAME = ("name", "displayName", "cn", "urn:oid:2.16.840.1.113730.3.1.241")
_EMAIL = ("email", "mail", "urn:oid:0.9.2342.19200300.100.1.3")


class SsoFailed(DomainError):
    """A sign-in through a provider that did not work. The message is for the person at the browser."""

    status = 400
    title = "The sign-in through your organisation did not work."


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person as the provider describes them. ``attributes``: ``uid``, ``gid`` (numbers), ``supplementaryGroups``."""

    subject: str
    email: str
    name: str
    groups: tuple[str, ...]
    attributes: dict[str, Any]


def read(claims: Mapping[str, Any], mappers: Mapping[str, str], mandatory: Mapping[str, Any] | None = None) -> Arrival:
    """``mappers`` names the claim of each attribute. Values may be one or a list (SAML has lists only).

    Raises ``SsoFailed``: no subject, no e-mail address or one that the provider did not verify, or a mandatory claim
    without an allowed value. A user or group id that is no number is left out.
    """
    subject = _one(claims.get("sub"))
    if not subject or len(subject) > 400:
        raise SsoFailed("The identity provider did not say who you are (no subject).")
    wanted = mappers.get("email") or "email"
    email = _one(claims.get(wanted)) or (_first(claims, _EMAIL) if wanted == "email" else "")
    if not email:
        raise SsoFailed(f"The identity provider sent no e-mail address (claim {wanted!r}).")
    if _said_no(claims.get("email_verified")):
        raise SsoFailed("Your identity provider has not verified your e-mail address.")
    if mandatory and not set(_many(claims.get(mandatory["claim"]))) & set(mandatory["values"]):
        raise SsoFailed(f"Your account may not sign in here: the claim {mandatory['claim']!r} has no value that may.")
    attributes: dict[str, Any] = {
        key: number for key in ("uid", "gid") if (number := _id(_one(claims.get(mappers.get(key, ""))))) is not None
    }
    more = [_id(text) for text in _many(claims.get(mappers.get("supplementaryGroups", "")))]
    if any(number is not None for number in more):
        attributes["supplementaryGroups"] = sorted({number for number in more if number is not None})
    groups = tuple(dict.fromkeys(_many(claims.get(mappers.get("groups", "")))))[:MOST_GROUPS]
    return Arrival(subject, email.lower(), _name(claims), groups, attributes)


def _name(claims: Mapping[str, Any]) -> str:
    parts = f"{_first(claims, _GIVEN)} {_first(claims, _FAMILY)}".strip()
    return (_first(claims, _NAME) or parts)[:200]


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _one(claims.get(name)))), "")


def _one(value: Any) -> str:
    return next(iter(_many(value)), "")


def _many(value: Any) -> list[str]:
    """Texts and numbers, as texts; one of them counts as a list of one. Keycloak's ``/a/b`` paths stay as they are."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return [str(item).strip() for item in items if isinstance(item, (str, int)) and str(item).strip()]


def _said_no(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.lower() == "false")


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= HIGHEST_ID else None
