"""Nobody gets at more than they hold by way of somebody else's password, secret or group."""

from access.actors import application_actor, user_actor
from access.grants import Actor
from access.models import AccessRule, Application, Group, SubjectKind, User
from access.services.roles import role_of
from runai_cp.lib.errors import NotAllowed


def refuse_stronger(actor: Actor, other: User | Application) -> None:
    """Raises ``NotAllowed`` when the other account may do something that the actor may not."""
    held = user_actor(other) if isinstance(other, User) else application_actor(other)
    if held.id != actor.id and not actor.covers(held):
        raise NotAllowed(f"{held.name} may do more than {actor.name}: only somebody who may do as much can do this.")


def refuse_stronger_group(actor: Actor, group: Group) -> None:
    """Raises ``NotAllowed`` when the group's rules give something that the actor does not hold."""
    rules = AccessRule.objects.filter(subject_kind=SubjectKind.GROUP, subject_id=group.pk)
    for rule in rules.select_related("scope", "custom_role"):
        if not all(actor.allows(action, rule.scope.path) for action in role_of(rule).actions):
            raise NotAllowed(f"The group {group.name} may do more than {actor.name}; who is in it is not yours to say.")
