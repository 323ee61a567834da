"""Create, change and remove people."""

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F

from access.grants import Actor
from access.models import Scope, SubjectKind, User, UserSession
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.holdings import refuse_stronger
from access.services.rules import create_rule, drop_rules_of, keep_an_administrator
from access.services.scopes import root_scope
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.models import gone, held, remove
from runai_cp.lib.names import display_name


@transaction.atomic
def create_user(
    *,
    actor: Actor,
    email: str,
    password: str,
    name: str = "",
    role: str | None = None,
    scope: Scope | None = None,
    temporary: bool = False,
) -> User:
    """Make a person, with a first access rule if ``role`` is given. A second call with the same address and rule, from
    a tenant's set-up that was cut short, sets the new password. Raises ``Invalid``, ``Conflict``, ``NotAllowed``."""
    require(actor, Action.USER_CREATE, root_scope())
    check_email(email)
    check_password(password)
    name = display_name(name, longest=200) if name else ""
    user = User.objects.filter(email__same=email).first() if actor.kind == "system" else None
    try:
        with transaction.atomic():
            user = user or User(email=email.lower(), name=name, created_by=actor.name)
            user.set_password(password)
            user.must_change_password = temporary
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
def set_password(
    *, actor: Actor, user: User, password: str, temporary: bool = False, keep_session: str | None = None
) -> None:
    """A person may set their own; others need ``user.update``. Every token and session of the person ends.

    ``temporary`` marks a password that was shown to somebody else; ``keep_session`` is the session that asked.
    """
    if actor.id != str(user.pk):
        require(actor, Action.USER_UPDATE, root_scope())
        refuse_stronger(actor, user)
    check_password(password)
    if user.must_change_password and actor.id == str(user.pk) and user.check_password(password):
        raise Invalid(FieldError("password", "must be another one: somebody else has seen this one"))
    _end_everything(user, keep_session=keep_session)
    user.set_password(password)
    user.must_change_password = temporary
    user.save(update_fields=["password", "must_change_password", "updated_at"])
    record(
        actor=actor,
        action="reset-password" if temporary else "set-password",
        entity_type="user",
        entity_id=user.pk,
        entity_name=user.email,
    )


@transaction.atomic
def set_active(*, actor: Actor, user: User, active: bool) -> User:
    """The row as it is then. A disabled person is out everywhere with their next request, and cannot come back; their
    rules and keys stay for when they are enabled. Raises ``NotAllowed``, and ``Conflict`` for oneself and for the last
    administrator."""
    require(actor, Action.USER_UPDATE, root_scope())
    refuse_stronger(actor, user)
    if not active:
        if actor.id == str(user.pk):
            raise Conflict("Nobody disables themselves; another administrator can.")
        keep_an_administrator(without_user=user.pk)
        _end_everything(user)
    row = held(user, "person")
    before, row.is_active = row.is_active, active
    if before != active:
        row.save(update_fields=["is_active", "updated_at"])
        record(
            actor=actor,
            action="update",
            entity_type="user",
            entity_id=row.pk,
            entity_name=row.email,
            before={"enabled": before},
            after={"enabled": active},
        )
    return row


@transaction.atomic
def delete_user(*, actor: Actor, user: User) -> None:
    """Remove a person with their rules and sessions. Raises ``Conflict`` for the last administrator."""
    require(actor, Action.USER_DELETE, root_scope())
    refuse_stronger(actor, user)
    keep_an_administrator(without_user=user.pk)
    _end_everything(user)
    drop_rules_of(SubjectKind.USER, user.pk)
    record(actor=actor, action="delete", entity_type="user", entity_id=user.pk, entity_name=user.email)
    remove(user, "person")


def check_current_password(*, user: User, given: object) -> None:
    """Raises ``Invalid`` for a wrong one, ``TooMany`` after ten wrong ones in five minutes."""
    if authenticate(None, username=user.email, password=given if isinstance(given, str) else "") is None:
        raise Invalid(FieldError("currentPassword", "is wrong"))


@transaction.atomic
def log_out(*, actor: Actor, user: User) -> None:
    """End every token and console session of a person, from their next request on."""
    if actor.id != str(user.pk):
        require(actor, Action.USER_UPDATE, root_scope())
    _end_everything(user)
    record(actor=actor, action="sign-out", entity_type="user", entity_id=user.pk, entity_name=user.email)


def _end_everything(user: User, *, keep_session: str | None = None) -> None:
    """Raises ``NotFound`` for somebody who is gone; holds the person's row."""
    if not User.objects.filter(pk=user.pk).update(token_generation=F("token_generation") + 1):
        raise gone("person")
    user.refresh_tokens.all().delete()
    rows = UserSession.objects.filter(user=user).exclude(session_key=keep_session or "")
    Session.objects.filter(session_key__in=list(rows.values_list("session_key", flat=True))).delete()
    rows.delete()


def check_email(email: str) -> None:
    if not email.isascii():
        raise Invalid(FieldError("email", "must hold only ASCII characters: others look alike", email[:254]))
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid(FieldError("email", "must be an e-mail address", email[:254])) from error


def check_password(password: str) -> None:
    if len(password) > 200:
        raise Invalid(FieldError("password", "must have at most 200 characters"))
    try:
        validate_password(password)
    except ValidationError as error:
        raise Invalid(FieldError("password", " ".join(error.messages))) from error
