"""Who an access rule speaks of: a user, a program, or a group."""

import uuid
from dataclasses import dataclass

from access.models import Application, Group, SubjectKind, User
from access.models.group import GroupOrigin
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.names import display_name


@dataclass(frozen=True, slots=True)
class Subject:
    id: uuid.UUID
    name: str


def find_subject(kind: str, identifier: str, *, made_by: str = "") -> Subject:
    """A user by id or address, a program by id, client id or name, a group by id or name.

    The public API does not say which id a subject has, so each is accepted. A group that nobody was in yet is made:
    identity providers name groups first at a sign-in. Raises ``Invalid``.
    """
    found: User | Application | Group | None = None
    by_id = {"pk": identifier} if is_uuid(identifier) else None
    if kind == SubjectKind.USER:
        found = User.objects.filter(**(by_id or {"email__same": identifier})).first()
    elif kind == SubjectKind.APPLICATION:
        rows = Application.objects
        found = rows.filter(**(by_id or {"client_id": identifier})).first() or rows.filter(name=identifier).first()
    elif kind == SubjectKind.GROUP:
        found = Group.objects.filter(**(by_id or {"name__same": identifier})).first()
        if found is None and by_id is None:
            found = _new_group(identifier, made_by)
    if found is None:
        raise Invalid(FieldError("subjectId", f"no {kind} has this id", identifier[:200]))
    return Subject(found.pk, str(found))


def group_name(value: object, field: str = "name") -> str:
    """Raises ``Invalid``, also for names that Kubernetes keeps for itself: a binding to one would reach everybody."""
    name = display_name(value, field, longest=253)
    if name.lower().startswith("system:"):
        raise Invalid(
            FieldError(field, "must not start with 'system:': Kubernetes keeps these groups for itself", name)
        )
    return name


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _new_group(name: str, made_by: str) -> Group:
    return Group.objects.create(
        name=group_name(name, "subjectId"), origin=GroupOrigin.PROVIDER, created_by=made_by[:200]
    )
