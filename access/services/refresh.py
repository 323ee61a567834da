"""Refresh tokens of people: each is used once and replaced; one that comes twice ends its whole chain.

Kept as hashes. A password change, a sign-out by an administrator or a disabled account ends them all.
"""

import secrets
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from access.models import RefreshToken, User
from access.services.applications import hash_secret
from runai_cp.lib.errors import NotAuthenticated

LIFE = timedelta(days=7)


def new_refresh_token(user: User, *, family: uuid.UUID | None = None) -> str:
    """The token, shown once."""
    text = secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        user=user,
        token_hash=hash_secret(text),
        family=family or uuid.uuid4(),
        generation=user.token_generation,
        expires_at=timezone.now() + LIFE,
    )
    return text


def use_refresh_token(text: str) -> tuple[User, str]:
    """The person and the next token. Raises ``NotAuthenticated``; a second use ends every token of the chain."""
    with transaction.atomic():
        rows = RefreshToken.objects.select_for_update(of=("self",)).select_related("user")
        row = rows.filter(token_hash=hash_secret(text)).first()
        replayed = row is not None and row.used_at is not None
        if row is not None and replayed:
            RefreshToken.objects.filter(family=row.family).delete()
        elif row is not None and _usable(row):
            row.used_at = timezone.now()
            row.save(update_fields=["used_at", "updated_at"])
            return row.user, new_refresh_token(row.user, family=row.family)
    raise NotAuthenticated("The refresh token is not valid any more; sign in again.")


def _usable(row: RefreshToken) -> bool:
    user = row.user
    return row.expires_at > timezone.now() and user.is_active and row.generation == user.token_generation
