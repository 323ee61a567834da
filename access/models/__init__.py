"""Tables of the access room; one file a subject."""

from access.models.application import Application
from access.models.audit import AuditEntry
from access.models.idempotency import IdempotencyKey
from access.models.rule import AccessRule, SubjectKind
from access.models.scope import Scope, ScopeKind
from access.models.session import UserSession
from access.models.user import User

__all__ = [
    "AccessRule",
    "Application",
    "AuditEntry",
    "IdempotencyKey",
    "Scope",
    "ScopeKind",
    "SubjectKind",
    "User",
    "UserSession",
]
