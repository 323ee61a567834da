"""May these grants do this there? Pure functions over paths of the scope tree.

A path is ``/1/4/9/``: the ids of the scopes from the tenant down. A grant on a scope holds for everything below it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from access.roles import Action


@dataclass(frozen=True, slots=True)
class Grant:
    """One access rule of the actor: what it allows, and on which subtree."""

    role: str
    actions: frozenset[Action]
    path: str

    def covers(self, action: Action, path: str) -> bool:
        return action in self.actions and path.startswith(self.path)


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: a ``user``, an ``application`` or the ``system`` itself. What every service is given."""

    kind: str
    id: str
    name: str
    grants: tuple[Grant, ...] = ()

    # DRF asks its request.user for this.
    is_authenticated = True
    is_active = True

    def allows(self, action: Action, path: str) -> bool:
        return any(grant.covers(action, path) for grant in self.grants)

    def allows_somewhere(self, action: Action) -> bool:
        return any(action in grant.actions for grant in self.grants)

    def covers(self, other: "Actor") -> bool:
        """Whether this actor holds everything that the other one holds."""
        return all(self.allows(action, grant.path) for grant in other.grants for action in grant.actions)

    def paths(self, action: Action) -> tuple[str, ...]:
        """The topmost subtrees in which the action is allowed, without those inside another."""
        return topmost(grant.path for grant in self.grants if action in grant.actions)


def topmost(paths: Iterable[str]) -> tuple[str, ...]:
    """Drop every path that lies below another of the set."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not kept or not path.startswith(kept[-1]):
            kept.append(path)
    return tuple(kept)


def ancestors(path: str) -> tuple[str, ...]:
    """``/1/4/9/`` → ``/1/``, ``/1/4/``: the scopes above, the path itself not included."""
    ids = path.strip("/").split("/")
    return tuple("/" + "/".join(ids[:depth]) + "/" for depth in range(1, len(ids)))
