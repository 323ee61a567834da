"""Write the audit entry of a change, inside the transaction that makes it."""

from contextvars import ContextVar
from typing import Any

from access.grants import Actor
from access.models import AuditEntry
from runai_cp.lib.logs import request_id

source_ip: ContextVar[str | None] = ContextVar("source_ip", default=None)
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
) -> AuditEntry:
    """``before`` and ``after`` are JSON-ready; values under a key that sounds like a secret are masked."""
    return AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action,
        entity_type=entity_type,
        entity_id=str(entity_id),
        entity_name=entity_name,
        scope_path=scope_path,
        result=result,
        source_ip=source_ip.get(),
        request_id=request_id.get(),
        before=masked(before),
        after=masked(after),
    )


def masked(value: Any) -> Any:
    """The same data with the values of secret-sounding keys, and of environment variables, replaced."""
    if isinstance(value, dict):
        return {key: MASK if _secret(key) and item else masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_WORDS)
