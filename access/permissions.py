"""``require`` is the first line of every service that writes."""

from access.grants import Actor
from access.models import Scope
from access.roles import Action
from runai_cp.lib.errors import NotAllowed


def require(actor: Actor, action: Action, scope: Scope) -> None:
    """Raises ``NotAllowed`` with a sentence that names the action and the scope."""
    if not actor.allows(action, scope.path):
        place = f"{scope.kind} {scope.name}"
        raise NotAllowed(f"{actor.name} may not {describe(action)} in {place}; an administrator of it can grant this.")


def describe(action: Action) -> str:
    """``workload.create`` → ``create workloads``."""
    thing, verb = action.value.split(".")
    return f"{verb} {thing.replace('-', ' ')}s"
