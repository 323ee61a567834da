"""Grow and prune the scope tree, in the transaction of the service that makes the cluster, department or project."""

from django.db import IntegrityError, transaction

from access.models import Scope, ScopeKind
from runai_cp.lib.errors import Conflict, NotFound


def root_scope() -> Scope:
    """The tenant's own scope. Raises ``NotFound`` before the tenant is set up."""
    root = Scope.objects.filter(kind=ScopeKind.TENANT).first()
    if root is None:
        raise NotFound("this tenant has no scope tree yet")
    return root


def add_scope(*, kind: ScopeKind, name: str, parent: Scope | None, ref: object = "") -> Scope:
    """Raises ``Conflict`` when the parent has a child of that kind and name."""
    try:
        with transaction.atomic():
            scope = Scope.objects.create(
                kind=kind, name=name, parent=parent, path=f"new-{kind}-{name}"[:255], ref=str(ref)
            )
    except IntegrityError as error:
        raise Conflict(f"A {kind} named {name!r} exists already.") from error
    scope.path = f"{parent.path if parent else '/'}{scope.pk}/"
    scope.save(update_fields=["path"])
    return scope


def set_ref(scope: Scope, ref: object) -> None:
    scope.ref = str(ref)
    scope.save(update_fields=["ref"])


def rename_scope(scope: Scope, name: str) -> None:
    """Raises ``Conflict`` when a sibling has the name."""
    if Scope.objects.filter(parent=scope.parent, kind=scope.kind, name=name).exclude(pk=scope.pk).exists():
        raise Conflict(f"A {scope.kind} named {name!r} exists already.")
    scope.name = name
    scope.save(update_fields=["name"])


def remove_scope(scope: Scope) -> None:
    """Remove a scope with its access rules. Its children must be gone."""
    scope.delete()
