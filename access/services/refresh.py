"""Refresh tokens of people: each is used once and replaced; one that comes twice ends its whole chain.

Kept as hashes. A password change, a sign-out by an administrator or a disabled account ends them all.
"""

import secrets
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from access.actors import user_actor
from access.grants import Actor
from access.models import RefreshToken, User
from access.services.applications import hash_secret
from access.services.audit import record
from runai_cp.lib.errors import NotAuthenticated, NotFound

LIFE = timedelta(days=7)
MOST_SHOWN = 100
"""Sign-ins that the account page names."""


def new_refresh_token(user: User, *, family: uuid.UUID, label: str = "") -> str:
    """The token, shown once. ``family`` is of the sign-in it goes on with: access tokens carry it and end with it."""
    text = secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        user=user,
        token_hash=hash_secret(text),
        family=family,
        label=label,
        generation=user.token_generation,
        expires_at=timezone.now() + LIFE,
    )
    return text


def use_refresh_token(text: str) -> tuple[User, uuid.UUID, str]:
    """The person, the family and the next token.

    Raises ``NotAuthenticated``; a second use ends every token of the chain."""
    with transaction.atomic():
        rows = RefreshToken.objects.select_for_update(of=("self",)).select_related("user")
        row = rows.filter(token_hash=hash_secret(text)).first()
        replayed = row is not None and row.used_at is not None
        if row is not None and replayed:
            RefreshToken.objects.filter(family=row.family).delete()
        elif row is not None and _usable(row):
            row.used_at = timezone.now()
            row.save(update_fields=["used_at", "updated_at"])
            return row.user, row.family, new_refresh_token(row.user, family=row.family, label=row.label)
    raise NotAuthenticated("The refresh token is not valid any more; sign in again.")


@transaction.atomic
def revoke_refresh_token(text: str) -> None:
    """End the sign-in of a token, with every access token that came of it: from the next request on. Unknown ones are
    passed over, so that nothing can be learnt by asking (RFC 7009)."""
    row = RefreshToken.objects.select_related("user").filter(token_hash=hash_secret(text)).first()
    if row is not None:
        RefreshToken.objects.filter(family=row.family).delete()
        actor = user_actor(row.user)
        record(actor=actor, action="sign-out", entity_type="user", entity_id=actor.id, entity_name=actor.name)


def programs_of(user: User) -> list[RefreshToken]:
    """The newest token of each sign-in of a program that still goes on: ``family``, ``label``, when it was renewed."""
    rows = RefreshToken.objects.filter(user=user, used_at=None, generation=user.token_generation)
    return list(rows.filter(expires_at__gt=timezone.now()).order_by("-created_at")[:MOST_SHOWN])


@transaction.atomic
def end_program(*, actor: Actor, family: uuid.UUID) -> None:
    """End one sign-in of the actor's own. Raises ``NotFound`` for anybody else's."""
    row = RefreshToken.objects.filter(family=family, user_id=actor.id).first()
    if row is None:
        raise NotFound("You have no such sign-in.")
    RefreshToken.objects.filter(family=family).delete()
    record(actor=actor, action="revoke-session", entity_type="session", entity_id=family, entity_name=row.label)


def _usable(row: RefreshToken) -> bool:
    user = row.user
    return row.expires_at > timezone.now() and user.is_active and row.generation == user.token_generation
