"""Write the audit entry of a change, inside the transaction that makes it."""

from contextvars import ContextVar
from typing import Any

from access.grants import Actor
from access.models import AuditEntry
from runai_cp.lib.logs import request_id

source_ip: ContextVar[str | None] = ContextVar("source_ip", default=None)
http_method: ContextVar[str] = ContextVar("http_method", default="")
url_path: ContextVar[str] = ContextVar("url_path", default="")
"""Facts of the request in hand; the path has no query, so that nothing private comes along."""
_SECRET_WORDS = ("password", "secret", "token", "credential")
MASK = "********"


def record(
    *,
    actor: Actor,
    action: str,
    entity_type: str,
    entity_id: object = "",
    entity_name: str = "",
    scope_path: str = "",
    before: Any = None,
    after: Any = None,
    result: str = "success",
    status_code: int | None = None,
) -> AuditEntry:
    """``before`` and ``after`` are JSON-ready; values under a key that sounds like a secret are masked."""
    return AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name[:254],
        action=action,
        entity_type=entity_type,
        entity_id=str(entity_id)[:64],
        entity_name=printable(entity_name)[:253],
        scope_path=scope_path,
        result=result,
        source_ip=source_ip.get(),
        request_id=request_id.get(),
        http_method=http_method.get(),
        url=url_path.get(),
        status_code=status_code,
        before=masked(before),
        after=masked(after),
    )


def refused(*, actor: Actor, what: str = "") -> None:
    """Remember that somebody was not allowed to do what they tried, with the request's method and path."""
    verb = {"GET": "view", "HEAD": "view", "POST": "create", "DELETE": "delete"}.get(http_method.get(), "update")
    record(
        actor=actor,
        action=verb,
        entity_type="request",
        entity_name=url_path.get(),
        after={"reason": what[:300]} if what else None,
        result="failed",
        status_code=403,
    )


def sign_in_failed(*, name: str, kind: str, reason: str) -> None:
    """Remember a wrong password or secret. Whoever it was is nobody yet: the given name is kept as it was given."""
    record(
        actor=Actor(kind=kind, id="", name=printable(name)[:254]),
        action="sign-in",
        entity_type=kind,
        entity_name=name,
        after={"reason": reason},
        result="failed",
    )


def printable(text: str) -> str:
    """Without characters that PostgreSQL or a reader's terminal would stumble over."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:1000])


def masked(value: Any) -> Any:
    """The same data with the values of secret-sounding keys, and of environment variables, replaced."""
    if isinstance(value, dict):
        return {key: MASK if _secret(key) and item else masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_WORDS)
