"""The first things in a new tenant's schema."""

from access.grants import Actor, Grant
from access.models import Scope, ScopeKind
from access.roles import ALL
from access.services.scopes import add_scope


def bootstrap_access(*, tenant_name: str) -> tuple[Actor, Scope]:
    """The root scope, and an actor that may do everything. Safe to repeat."""
    root = Scope.objects.filter(kind=ScopeKind.TENANT).first()
    if root is None:
        root = add_scope(kind=ScopeKind.TENANT, name=tenant_name, parent=None, ref=tenant_name)
    return system_actor(), root


def system_actor(name: str = "system") -> Actor:
    """The platform itself: sweepers, ingestion, commands of the operator of this installation."""
    return Actor(kind="system", id="system", name=name, grants=(Grant("administrator", ALL, "/"),))
