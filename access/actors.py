"""From a signed-in person or a valid token to the ``Actor`` that services are given: one query for all grants."""

from access.grants import Actor, Grant
from access.models import AccessRule, Application, SubjectKind, User
from access.roles import ROLES


def user_actor(user: User) -> Actor:
    return Actor(kind=SubjectKind.USER, id=str(user.pk), name=user.email, grants=_grants(SubjectKind.USER, user.pk))


def application_actor(application: Application) -> Actor:
    return Actor(
        kind=SubjectKind.APPLICATION,
        id=str(application.pk),
        name=application.name,
        grants=_grants(SubjectKind.APPLICATION, application.pk),
    )


def _grants(kind: str, subject_id: object) -> tuple[Grant, ...]:
    rules = AccessRule.objects.filter(subject_kind=kind, subject_id=subject_id).order_by("pk")
    pairs = rules.values_list("role", "scope__path")
    return tuple(Grant(role, ROLES.get(role, frozenset()), path) for role, path in pairs)
