"""Which settings a tenant has, what each may hold, and what holds before anybody decides. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from runai_cp.lib.errors import FieldError, Invalid

ALIAS = re.compile(r"[a-z0-9_-]{0,64}")


@dataclass(frozen=True, slots=True)
class SettingKey:
    """``read`` turns what was given into what is stored, or raises ``Invalid``."""

    default: Any
    label: str
    description: str
    category: str
    read: Callable[[Any], Any]


def _object(field: str, given: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Invalid(FieldError(field, f"must be an object with {', '.join(known)}", given))
    strange = sorted(set(given) - set(known))
    if strange:
        raise Invalid(FieldError(strange[0][:100], f"unknown; allowed are {', '.join(known)}", None, list(known)))
    return given


def _redirect(given: Any) -> dict[str, Any]:
    values = _object("autoRedirectSSO", given, ("enabled", "idpAlias"))
    enabled, alias = values.get("enabled") or False, values.get("idpAlias") or ""
    if not isinstance(enabled, bool):
        raise Invalid(FieldError("enabled", "must be true or false", enabled))
    if not isinstance(alias, str) or not ALIAS.fullmatch(alias):
        raise Invalid(FieldError("idpAlias", "must hold lower-case letters, digits, '_' and '-'", alias))
    return {"enabled": enabled, "idpAlias": alias}


def _timeout(given: Any) -> dict[str, Any]:
    minutes = _object("browserSessionTimeout", given, ("idleTimeout",)).get("idleTimeout")
    minutes = 60 if minutes is None else minutes
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 1 <= minutes <= 43200:
        raise Invalid(FieldError("idleTimeout", "must be minutes, 1 to 43200", minutes))
    return {"idleTimeout": minutes}


def _logout_uri(given: Any) -> dict[str, Any]:
    uri = _object("logoutRedirectUri", given, ("uri",)).get("uri") or ""
    return {"uri": web_address(uri, "uri") if uri else ""}


def web_address(given: object, field: str, *, schemes: tuple[str, ...] = ("https", "http")) -> str:
    """An absolute address without credentials. Raises ``Invalid``: other schemes would run or open something else."""
    text = given if isinstance(given, str) else ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if not good or len(text) > 500 or any(letter.isspace() or not letter.isprintable() for letter in text):
        message = f"must be an address that begins with {' or '.join(f'{s}://' for s in schemes)}, without a password"
        raise Invalid(FieldError(field, message, str(given)[:200]))
    return text


def _whole(field: str, low: int, high: int) -> Callable[[Any], Any]:
    def read(given: Any) -> Any:
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            raise Invalid(FieldError(field, f"must be a whole number from {low} to {high}", given))
        return given

    return read


def _flag(field: str) -> Callable[[Any], Any]:
    def read(given: Any) -> Any:
        if not isinstance(given, bool):
            raise Invalid(FieldError(field, "must be true or false", given))
        return given

    return read


SECURITY: dict[str, SettingKey] = {
    "autoRedirectSSO": SettingKey(
        {"enabled": False, "idpAlias": ""},
        "Redirect to SSO",
        "Sign in with this provider at once.",
        "security",
        _redirect,
    ),
    "browserSessionTimeout": SettingKey(
        {"idleTimeout": 60}, "Session time-out", "Minutes without a click that end a session.", "security", _timeout
    ),
    "logoutRedirectUri": SettingKey({"uri": ""}, "After sign-out", "Where a person lands.", "security", _logout_uri),
}
"""Keys of ``/api/v1/security/settings``."""

GENERAL: dict[str, SettingKey] = {
    "auditRetentionDays": SettingKey(
        90, "Audit retention", "Days that audit entries are kept.", "audit", _whole("auditRetentionDays", 30, 3650)
    ),
    "mfaRequired": SettingKey(
        False, "Second factor", "Everybody with a password needs a second factor.", "security", _flag("mfaRequired")
    ),
    "limitProjectsToDepartmentQuota": SettingKey(
        False,
        "Limit projects to their department's quota",
        "Projects may not together deserve more GPUs of a node pool than their department does.",
        "quota",
        _flag("limitProjectsToDepartmentQuota"),
    ),
}
"""Keys of ``/v1/k8s/setting`` beside the security ones."""

KEYS: dict[str, SettingKey] = {**SECURITY, **GENERAL}
