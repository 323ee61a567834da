"""What each grant of the token endpoints needs and gives. The endpoints only word it in their version's way."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.request import Request

from access.actors import signed_in_as
from access.auth import tokens
from access.grants import Actor
from access.models import AccessKey, Application, User
from access.services.access_keys import key_matches
from access.services.applications import matches
from access.services.audit import record, sign_in_failed
from access.services.authorizations import poll_device, use_code
from access.services.entry import check_program_sign_in
from access.services.refresh import new_refresh_token, use_refresh_token
from runai_cp.lib.errors import FieldError, Invalid, NotAuthenticated

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_CODE = ("code", "code_verifier", "redirect_uri")
FIELDS: dict[str, tuple[str, ...]] = {
    "password": ("username", "password"),
    "refresh_token": ("refresh_token",),
    "exchange_token": _CODE,
    "authorization_code": _CODE,
    DEVICE: ("device_code",),
}
"""Grant → the fields it needs; the others need a client's id and secret."""
LONGEST = 4096
"""Characters of a field: secrets are short."""
USED_EVERY = timedelta(minutes=1)
"""How exact "last used", and the audit of programs' sign-ins, are: one that asks a hundred times a second writes both
once a minute."""


@dataclass(frozen=True, slots=True)
class Granted:
    access: tokens.AccessToken
    refresh: str = ""


def grant_token(request: Request, grant: str, fields: Mapping[str, Any]) -> Granted:
    """Raises ``Invalid`` for a missing field, ``NotAuthenticated`` for a wrong pair, ``TooMany`` for guessing, and
    ``authorizations.Waiting`` for a device that nobody let through yet."""
    names = FIELDS.get(grant, ("client_id", "client_secret"))
    values = [fields.get(name) for name in names]
    wrong = [
        name
        for name, value in zip(names, values, strict=True)
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST
    ]
    if wrong:
        message = f"must be text of 1 to {LONGEST} characters"
        raise Invalid(*(FieldError(name, message) for name in wrong))
    texts = [str(value) for value in values]
    if grant == "password":
        return _person(request, *texts, fields.get("otp"))
    if grant == "refresh_token":
        return _again(*texts)
    if names is _CODE:
        user, label = use_code(code=texts[0], verifier=texts[1], redirect_uri=texts[2])
        return _signed_in(user, label)
    if grant == DEVICE:
        return _signed_in(*poll_device(device_code=texts[0]))
    return _program(*texts)


def _person(request: Request, email: str, password: str, otp: object) -> Granted:
    user = authenticate(request._request, username=email, password=password)
    if not isinstance(user, User):
        raise NotAuthenticated("The e-mail address or the password is wrong.")
    check_program_sign_in(user=user, otp=otp)
    return _signed_in(user)


@transaction.atomic
def _signed_in(user: User, label: str = "") -> Granted:
    """A new sign-in: its refresh tokens are one family, and its access tokens end with that. One commit for all."""
    actor, family = signed_in_as(user), uuid.uuid4()
    after = {"program": label} if label else None
    record(actor=actor, action="sign-in", entity_type="user", entity_id=actor.id, entity_name=actor.name, after=after)
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return Granted(_of_person(actor, user, family), new_refresh_token(user, family=family, label=label))


def _again(refresh_token: str) -> Granted:
    user, family, following = use_refresh_token(refresh_token)
    return Granted(_of_person(signed_in_as(user), user, family), following)


def _of_person(actor: Actor, user: User, family: uuid.UUID) -> tokens.AccessToken:
    return tokens.issue(
        actor=actor,
        schema_name=connection.schema_name,
        generation=user.token_generation,
        family=str(family),
    )


def _program(client_id: str, secret: str) -> Granted:
    """A service account, or somebody's access key, which acts as its owner."""
    if client_id.startswith("key-"):
        key = AccessKey.objects.select_related("owner").filter(client_id=client_id[:64], owner__is_active=True).first()
        if key is not None and key_matches(key, secret):
            actor = signed_in_as(key.owner)
            _used(key, actor, "access-key")
            return Granted(_of_program(actor, key, key_id=str(key.pk)))
    application = Application.objects.filter(client_id=client_id[:64], enabled=True).first()
    if application is None or not matches(application, secret):
        sign_in_failed(name=client_id[:64], kind="application", reason="wrong client id or secret")
        raise NotAuthenticated("The client id or the secret is wrong.")
    actor = signed_in_as(application)
    _used(application, actor, "application")
    return Granted(_of_program(actor, application))


def _of_program(actor: Actor, row: Application | AccessKey, **more: str) -> tokens.AccessToken:
    return tokens.issue(actor=actor, schema_name=connection.schema_name, generation=row.token_generation, **more)


def _used(row: Application | AccessKey, actor: Actor, kind: str) -> None:
    """When it was used last, and that it signed in: of many in a minute, one writes both."""
    now = timezone.now()
    due = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
    if row.last_used_at is not None and row.last_used_at >= now - USED_EVERY:
        return
    with transaction.atomic():
        if type(row).objects.filter(due, pk=row.pk).update(last_used_at=now):
            record(actor=actor, action="sign-in", entity_type=kind, entity_id=row.pk, entity_name=row.name)
