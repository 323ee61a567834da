"""Create, change and remove people."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from access.grants import Actor
from access.models import AccessRule, Scope, SubjectKind, User
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.rules import create_rule, drop_rules_of
from access.services.scopes import root_scope
from runai_cp.lib.errors import Conflict, FieldError, Invalid


@transaction.atomic
def create_user(
    *, actor: Actor, email: str, password: str, name: str = "", role: str | None = None, scope: Scope | None = None
) -> User:
    """Make a person, with a first access rule if ``role`` is given. A second call with the same address and rule, from
    a tenant's set-up that was cut short, sets the new password. Raises ``Invalid``, ``Conflict``, ``NotAllowed``."""
    require(actor, Action.USER_CREATE, root_scope())
    check_email(email)
    check_password(password)
    user = User.objects.filter(email__iexact=email).first() if actor.kind == "system" else None
    try:
        with transaction.atomic():
            user = user or User(email=email.lower(), name=name, created_by=actor.name)
            user.set_password(password)
            user.save()
    except IntegrityError as error:
        raise Conflict(f"A user with the address {email!r} exists already.") from error
    record(actor=actor, action="create", entity_type="user", entity_id=user.pk, entity_name=user.email)
    if role:
        create_rule(
            actor=actor, subject_kind=SubjectKind.USER, subject_id=user.pk, role=role, scope=scope or root_scope()
        )
    return user


@transaction.atomic
def set_password(*, actor: Actor, user: User, password: str) -> None:
    """A person may set their own; others need ``user.update``."""
    if actor.id != str(user.pk):
        require(actor, Action.USER_UPDATE, root_scope())
    check_password(password)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    record(actor=actor, action="set-password", entity_type="user", entity_id=user.pk, entity_name=user.email)


@transaction.atomic
def delete_user(*, actor: Actor, user: User) -> None:
    """Remove a person with their rules and sessions. Raises ``Conflict`` for the last administrator."""
    require(actor, Action.USER_DELETE, root_scope())
    rules = AccessRule.objects.filter(subject_kind=SubjectKind.USER, subject_id=user.pk)
    others = AccessRule.objects.filter(role="administrator", scope=root_scope(), subject_kind=SubjectKind.USER)
    if (
        rules.filter(role="administrator", scope=root_scope()).exists()
        and not others.exclude(subject_id=user.pk).exists()
    ):
        raise Conflict("The last administrator of the tenant cannot be removed.")
    drop_rules_of(SubjectKind.USER, user.pk)
    record(actor=actor, action="delete", entity_type="user", entity_id=user.pk, entity_name=user.email)
    user.delete()


def check_email(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid(FieldError("email", "must be an e-mail address", email)) from error


def check_password(password: str) -> None:
    try:
        validate_password(password)
    except ValidationError as error:
        raise Invalid(FieldError("password", " ".join(error.messages))) from error
