"""Typed readers of environment variables that fail loudly, with the variable's name in the message."""

import base64
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """Raises ``ImproperlyConfigured`` when the variable is missing and has no default."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"{name} is not set; see the settings table in README.md")
    return value


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name, "1" if default else "0").strip().lower()
    if value not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} is {value!r}; allowed are 0, 1, true, false, yes, no")
    return value in {"1", "true", "yes"}


def integer(name: str, default: int, minimum: int = 0) -> int:
    value = os.environ.get(name, str(default))
    if not value.lstrip("-").isdigit() or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number of at least {minimum}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty entries."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def secret(name: str) -> str:
    """Content of the file that ``<name>_FILE`` names. Never a plain variable: those leak into logs."""
    path = Path(text(f"{name}_FILE"))
    try:
        value = path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE: {path} is empty")
    return value


def secret_bytes(name: str, length: int) -> bytes:
    """Base64 content of the file that ``<name>_FILE`` names, exactly ``length`` bytes when decoded."""
    try:
        value = base64.b64decode(secret(name), validate=True)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}_FILE does not hold base64") from error
    if len(value) != length:
        raise ImproperlyConfigured(f"{name}_FILE holds {len(value)} bytes; it must be {length}")
    return value


def database(name: str) -> dict[str, object]:
    """``postgres://user:password@host:port/name`` as the entries of a Django DATABASES item."""
    parts = urlsplit(text(name))
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(f"{name} must look like postgres://user:password@host:port/name")
    return {
        "NAME": parts.path.strip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 5432),
    }
