"""From a signed-in person or a valid token to the ``Actor`` that services are given: one query for all grants."""

from django.db.models import Q

from access.grants import Actor, Grant
from access.models import AccessRule, Application, GroupMember, SubjectKind, User
from access.roles import ROLES, actions_of


def user_actor(user: User) -> Actor:
    """With the person's own rules and those of their groups."""
    groups = GroupMember.objects.filter(user_id=user.pk).values("group_id")
    own = Q(subject_kind=SubjectKind.USER, subject_id=user.pk)
    return Actor(
        kind=SubjectKind.USER,
        id=str(user.pk),
        name=user.email,
        grants=_grants(own | Q(subject_kind=SubjectKind.GROUP, subject_id__in=groups)),
    )


def signed_in_as(row: User | Application) -> Actor:
    """Who it is, with no grants: for what is written of a sign-in. Costs no query, and may do nothing."""
    if isinstance(row, User):
        return Actor(kind=SubjectKind.USER, id=str(row.pk), name=row.email)
    return Actor(kind=SubjectKind.APPLICATION, id=str(row.pk), name=row.name)


def application_actor(application: Application) -> Actor:
    own = Q(subject_kind=SubjectKind.APPLICATION, subject_id=application.pk)
    return Actor(kind=SubjectKind.APPLICATION, id=str(application.pk), name=application.name, grants=_grants(own))


def _grants(subject: Q) -> tuple[Grant, ...]:
    """What the rules in force give: a disabled role gives nothing."""
    rules = AccessRule.objects.get_queryset().in_force().filter(subject).order_by("pk")
    rows = rules.values_list(
        "role", "scope__path", "custom_role__name", "custom_role__enabled", "custom_role__permission_sets"
    )
    return tuple(
        Grant(name or role, actions_of(tuple(sets)) if name else ROLES.get(role, frozenset()), path)
        for role, path, name, enabled, sets in rows
        if enabled is not False
    )
